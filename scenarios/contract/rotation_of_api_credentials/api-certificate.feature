Feature: Rotating an API certificate
  Create the new one, move the public key to it, drain, revoke the old one. No measurement is lost on the
  way, and the old certificate is dead at the end.

  @contract-1.6.5 @contract-1.1.10
  Scenario: at every step of the safe order a measurement with the provider can be created
    Given edp1 has a new certificate called second
    When mc1 creates a reach measurement with edp1
    Then the call succeeds
    Given edp1 registers its certificate second
    When mc1 creates a reach measurement with edp1
    Then the call succeeds
    Given edp1 has a new encryption key called same, signed with second
    And edp1 has published its encryption key same with its certificate second
    When mc1 creates a reach measurement with edp1
    Then the call succeeds
    Given edp1's certificate is in state REVOKED
    When mc1 creates a reach measurement with edp1
    Then the call succeeds

  @contract-1.6.5 @contract-1.7.11
  Scenario: what was created before the switch is drained under the old certificate, and then nothing is lost
    Given mc1 has a direct reach measurement called before with edp1
    And edp1 has a new certificate called second
    And edp1 registers its certificate second
    And edp1 has a new encryption key called fresh, signed with second
    And edp1 has published its encryption key fresh with its certificate second
    And mc1 has a direct reach measurement called after with edp1
    When edp1 fulfils its requisition of mc1.before
    Then the call succeeds
    When edp1 changes the certificate edp1.certificate by REVOKED
    Then mc1 sees its measurement before in state SUCCEEDED
    And mc1 sees its measurement after in state AWAITING_REQUISITION_FULFILLMENT
    When mc1 calls Measurements.GetMeasurement with
      """
      name: "{mc1.before}"
      """
    Then the response has results[0].certificate: {edp1.certificate}

  @contract-1.6.5 @contract-1.1.12
  Scenario: at the end the old certificate is dead and cannot come back
    Given edp1 has a new certificate called second
    And edp1 registers its certificate second
    And edp1 has a new encryption key called fresh, signed with second
    And edp1 has published its encryption key fresh with its certificate second
    When edp1 changes the certificate edp1.certificate by REVOKED
    Then edp1 sees its certificate in state REVOKED
    And edp1 sees its certificate called second in state REVOCATION_STATE_UNSPECIFIED
    When edp1 changes the certificate edp1.certificate by release
    Then the call fails with FAILED_PRECONDITION and reason CERTIFICATE_REVOCATION_STATE_ILLEGAL
    When mc1 calls DataProviders.GetDataProvider with
      """
      name: "{edp1}"
      """
    Then the response has
      | certificate     | {edp1.second}     |
      | certificate_der | {edp1.second_der} |

  @contract-1.6.5
  Scenario: revoking first is an outage until the key moves
    Given edp1 has a new certificate called second
    And edp1 registers its certificate second
    And edp1's certificate is in state REVOKED
    When mc1 creates a reach measurement with edp1 and edp2
    Then the call fails with FAILED_PRECONDITION and reason CERTIFICATE_IS_INVALID
    And the server recorded a refused call with cause certificate_revoked
    Given edp1 has a new encryption key called fresh, signed with second
    And edp1 has published its encryption key fresh with its certificate second
    When mc1 creates a reach measurement with edp1 and edp2
    Then the call succeeds

  @contract-1.1.8
  Scenario: the same key pair cannot be certified anew, so a rotation needs a fresh key
    Given edp1 has a new certificate called second
    And edp1 registers its certificate second
    And edp1 has a certificate called renewed for the key of edp1's second
    When edp1 calls Certificates.CreateCertificate with
      """
      parent: "{edp1}" certificate { x509_der: "{edp1.renewed_der}" }
      """
    Then the call fails with ALREADY_EXISTS and reason CERT_SUBJECT_KEY_ID_ALREADY_EXISTS

  @contract-1.6.5 @contract-1.5.11/3
  Scenario: a consumer rotates by naming its new certificate, and revoking fails what names the old one
    Given mc1 has a new certificate called second
    And mc1 registers its certificate second
    And mc1 has a direct reach measurement called old with edp1
    And mc1 has a direct reach measurement called new with edp1, where
      | measurement.measurement_consumer_certificate | "{mc1.second}" |
    When mc1 changes the certificate mc1.certificate by REVOKED
    Then mc1 sees its measurement old failed with CERTIFICATE_REVOKED
    And mc1 sees its measurement new in state AWAITING_REQUISITION_FULFILLMENT
    When mc1 creates a reach measurement with edp1
    Then the call fails with FAILED_PRECONDITION and reason CERTIFICATE_IS_INVALID
    When mc1 creates a reach measurement with edp1, where
      | measurement.measurement_consumer_certificate | "{mc1.second}" |
    Then the call succeeds

  @contract-1.6.5 @contract-1.8.9
  Scenario: a Duchy rotates between computations without failing one
    Given mc1 has an LLv2 reach measurement called old with edp1 and edp2
    And mc1.old has reached PENDING_COMPUTATION
    And worker1 has a new certificate called second
    And worker1 registers its certificate second
    And mc1 has an LLv2 reach measurement called new with edp1 and edp2
    And worker1 has set its parameters for mc1.new with its certificate second
    When worker1 changes the certificate worker1.certificate by REVOKED
    Then the operator sees mc1.old in state PENDING_COMPUTATION
    And the operator sees worker1's part in mc1.new in state REQUISITION_PARAMS_SET
    And the operator sees mc1.new in state PENDING_REQUISITION_PARAMS

  @contract-1.3.3 @contract-1.6.2
  Scenario: the trail of a rotation is whole and names its steps
    Given edp1 has a new certificate called second
    And edp1 registers its certificate second
    When edp1 changes the certificate edp1.certificate by REVOKED
    Then the audit trail ends with
      | actor   | {edp1}                       |
      | action  | revoke                       |
      | subject | {edp1.certificate}           |
      | before  | REVOCATION_STATE_UNSPECIFIED |
      | after   | REVOKED                      |
    And the audit trail has 1 entry with action "revoke"
    And the audit trail verifies against its own head

  @contract-2.6
  Scenario: a caller that guesses API keys raises an alert
    Given mc1 sends the API key "AAAAAAAAAZQ"
    When mc1 calls Certificates.GetCertificate 20 times with
      """
      name: "{mc1.certificate}"
      """
    Then the call fails with UNAUTHENTICATED
    And an alert was raised

  @contract-2.6
  Scenario: a few failures do not
    Given mc1 sends the API key "AAAAAAAAAZQ"
    When mc1 calls Certificates.GetCertificate 19 times with
      """
      name: "{mc1.certificate}"
      """
    Then the call fails with UNAUTHENTICATED
    And no alert was raised
