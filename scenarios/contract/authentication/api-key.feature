Feature: API keys

  @contract-2.6
  Scenario: a valid key overrides the certificate's principal
    Given edp1 sends the API key "{mc1.api_key}"
    When edp1 reads the certificate mc1.certificate
    Then the call succeeds
    And the server knew the caller as "{mc1}"
    When edp1 calls Certificates.ListCertificates with
      """
      parent: "{edp1}"
      """
    Then the call fails with PERMISSION_DENIED
    And the server knew the caller as "{mc1}"

  @contract-2.6
  Scenario: a valid key needs no mapped certificate, only a trusted one
    Given edp1 presents a "akid-absent" certificate
    And edp1 sends the API key "{mc1.api_key}"
    When edp1 reads the certificate mc1.certificate
    Then the call succeeds
    And the server knew the caller as "{mc1}"

  @contract-2.6
  Scenario: a key does not replace the certificate at the door
    Given mc1 presents no certificate
    And mc1 sends the API key "{mc1.api_key}"
    When mc1 reads the certificate mc1.certificate
    Then the connection is refused
    And the server recorded a refused handshake with cause no_client_certificate

  @contract-2.6
  Scenario Outline: a bad key is refused, even beside a good certificate
    Given mc1 sends the API key "<key>"
    When mc1 reads the certificate mc1.certificate
    Then the call fails with UNAUTHENTICATED
    And the error has no ErrorInfo
    And the server recorded a refused call with cause api_key_invalid

    Examples:
      | case      | key         |
      | unknown   | AAAAAAAAAZQ |
      | malformed | nonsense    |
      | zero      | AAAAAAAAAAA |

  @contract-2.2
  Scenario: the API key is judged before the handler looks at the request
    Given mc1 sends the API key "AAAAAAAAAZQ"
    When mc1 calls Certificates.GetCertificate with
      """
      name: "nonsense"
      """
    Then the call fails with UNAUTHENTICATED

  @contract-1.0.15
  Scenario: faithfully, a rejected key comes back in the trailers
    Given mc1 sends the API key "AAAAAAAAAZQ"
    When mc1 reads the certificate mc1.certificate
    Then the call fails with UNAUTHENTICATED
    And the trailers have x-api-key "AAAAAAAAAZQ"

  @contract-1.0.15
  Scenario: as documented, a rejected key stays out of the trailers
    Given the quirk auth-rejection-echoes-headers is as-documented
    And mc1 sends the API key "AAAAAAAAAZQ"
    When mc1 reads the certificate mc1.certificate
    Then the call fails with UNAUTHENTICATED
    And the trailers have no x-api-key

  @contract-1.0.15
  Scenario: a refusal of the handler does not echo the key
    Given mc1 sends the API key "{mc1.api_key}"
    When mc1 reads the certificate edp1.certificate
    Then the call succeeds
    When mc1 calls Certificates.GetCertificate with
      """
      name: "nonsense"
      """
    Then the call fails with INVALID_ARGUMENT
    And the trailers have no x-api-key

  @contract-2.2 @contract-1.0.9
  Scenario: the rate limiter comes before the API key
    Given the rate limits are
      """
      rate_limit { default_rate_limit { maximum_request_count: 0 } }
      """
    And all 2 replicas are restarted
    And mc1 sends the API key "AAAAAAAAAZQ"
    When mc1 reads the certificate mc1.certificate
    Then the call fails with UNAVAILABLE
    And the server recorded a refused call with cause rate_limited

  @contract-2.6 @contract-2.2
  Scenario: a key counts on PublicKeys too, whatever the certificate
    Given mc1 has a new encryption key called fresh
    And edp1 sends the API key "{mc1.api_key}"
    When edp1 calls PublicKeys.UpdatePublicKey with
      """
      public_key {
        name: "{mc1.public_key}" certificate: "{mc1.certificate}"
        public_key {
          message { [type.googleapis.com/wfa.measurement.api.v2alpha.EncryptionPublicKey] { data: "{mc1.fresh_keyset}" } }
          signature: "s"
        }
      }
      """
    Then the call succeeds
    And the server knew the caller as "{mc1}"
    When edp1 calls PublicKeys.UpdatePublicKey with
      """
      public_key { name: "{edp1.public_key}" certificate: "{edp1.certificate}" }
      """
    Then the call fails with PERMISSION_DENIED
