Feature: Two replicas, one state

  @contract-1.1.2/CreateCertificate
  Scenario: what one replica writes the other reads at once
    Given edp1 has a new certificate called second
    When edp1 calls Certificates.CreateCertificate on replica 0 with
      """
      parent: "{edp1}" certificate { x509_der: "{edp1.second_der}" }
      """
    Then the call succeeds
    And the call was answered by replica 0
    And the response field name is saved as created
    When edp1 calls Certificates.GetCertificate on replica 1 with
      """
      name: "{created}"
      """
    Then the call succeeds
    And the call was answered by replica 1
    And the response has name: {created}

  @contract-1.1.12
  Scenario: a revocation through one replica holds at the other
    When edp1 calls Certificates.RevokeCertificate on replica 1 with
      """
      name: "{edp1.certificate}" revocation_state: REVOKED
      """
    Then the call succeeds
    When edp1 calls Certificates.GetCertificate on replica 0 with
      """
      name: "{edp1.certificate}"
      """
    Then the response has revocation_state: REVOKED

  @contract-5.5.2
  Scenario: new connections go to the running replica, and to nobody when none runs
    When replica 0 is stopped
    And edp1 reads the certificate edp1.certificate
    Then the call succeeds
    And the call was answered by replica 1
    When replica 1 is stopped
    And edp1 reads the certificate edp1.certificate
    Then nobody listens
    When replica 0 is started
    And edp1 reads the certificate edp1.certificate
    Then the call succeeds
    And the call was answered by replica 0

  @contract-5.4.1
  Scenario: a new server certificate is presented after a restart, and not before
    When edp1 reads the certificate edp1.certificate
    Then the server presented the certificate with SKID "{kingdom.certificate_skid}"
    When the Kingdom gets a new certificate
    And edp1 reads the certificate edp1.certificate
    Then the server presented the certificate with SKID "{kingdom.certificate_skid}"
    When all 2 replicas are restarted
    And edp1 reads the certificate edp1.certificate
    Then the server presented the certificate with SKID "{kingdom.new_skid}"
    When edp1 reads the certificate edp1.certificate
    Then the server presented the certificate with SKID "{kingdom.new_skid}"

  @contract-5.5.2
  Scenario: state survives a restart of all replicas
    Given edp1's certificate is in state HOLD
    When all 2 replicas are restarted
    Then edp1 sees its certificate in state HOLD

  @contract-5.5.2
  Scenario: a status that a fault rule injects reaches the caller, as often as it says
    Given the next 2 calls of GetCertificate fail with UNAVAILABLE
    When edp1 reads the certificate edp1.certificate
    Then the call fails with UNAVAILABLE
    And the server recorded a refused call with cause fault_injected
    When edp1 reads the certificate edp1.certificate
    Then the call fails with UNAVAILABLE
    When edp1 reads the certificate edp1.certificate
    Then the call succeeds
    And the faults fired 2 times
