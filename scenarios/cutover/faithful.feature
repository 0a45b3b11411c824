Feature: Faithfully, optional is no step between: an API key alone is answered UNKNOWN

  # A real Kingdom that asks for certificates and does not require them still serves nobody who shows
  # none, API key or not: a caller by API key needs its certificate before its first call.
  Background:
    Given the quirk no-client-certificate-is-unknown is faithful
    And client certificates are optional
    And mc1 presents no certificate
    And mc1 sends the API key "{mc1.api_key}"

  @contract-2.1 @contract-2.6
  Scenario: an API key serves nobody until its caller has a certificate
    When mc1 reads the certificate mc1.certificate
    Then the call fails with UNKNOWN
    And the server recorded a refused call with cause no_client_certificate
    When mc1 presents a fresh leaf of its root
    And mc1 reads the certificate mc1.certificate
    Then the call succeeds
