@compromise
Feature: What a thief can forge with stolen material
  Each drill: what the Kingdom does, what the participant must do, and where it is seen. The twins let the
  one who must notice not notice, and the monitor must miss it.

  @contract-1.2.3 @contract-3.13.1/e
  Scenario: a public key signed by another participant is accepted, and the reporting server notices
    Given edp1 has a new encryption key called planted, signed by edp2
    When edp1 publishes its encryption key planted with its certificate certificate
    And reporting creates a reach measurement called m with edp1
    Then the monitor saw exactly
      | reporting | rejected | 3.13.1/e |
    And it is a finding by 1.2.3 that PublicKeys.UpdatePublicKey accepted edp1.certificate, which reporting noticed by 3.13.1/e

  # Nothing signed names the resource it is for, and nothing is used up (3.1.2): no server and no provider
  # can tell, and whoever signed it must.
  @contract-3.1.2 @contract-1.5.14
  Scenario: a replayed measurement is fulfilled a second time
    Given mc1 creates a reach measurement called m with edp1
    And edp1 handles its requisitions
    When mc1 replays its measurement m as again
    And edp1 handles its requisitions
    Then edp1 fulfils mc1.again
    And it is a finding by 3.1.2 that nobody noticed mc1.again to be mc1.m over again, which mc1 must notice by their one signed spec
    And the monitor saw nothing

  @contract-1.1.8
  Scenario: a certificate with the subject key identifier of another is refused
    Given edp1 has a new certificate called first
    And edp1 registers its certificate first
    And mc1 has a certificate called again for the key of edp1's first
    When mc1 calls Certificates.CreateCertificate with
      """
      parent: "{mc1}" certificate { x509_der: "{mc1.again_der}" }
      """
    Then the call fails with ALREADY_EXISTS and reason CERT_SUBJECT_KEY_ID_ALREADY_EXISTS
    And the monitor saw exactly
      | mc1 | key_identifier_taken | 1.1.8 |

  @contract-2.15
  Scenario: a leaf of a trusted authority that claims another's key identifier is refused, and raises an alert
    Given an alert is raised by 1 failures within 10 seconds
    And edp1 presents a "akid-of-other" certificate
    When edp1 reads the certificate edp2.certificate
    Then the server recorded a refused handshake with cause akid_not_of_issuer
    And an alert was raised
    And the monitor saw exactly
      | edp1 | akid_not_of_issuer | 2.15 |

  # Nothing sweeps what has expired (1.6.4): creation is refused, a result is not.
  @contract-1.6.1 @contract-1.6.4
  Scenario: a consumer's certificate that expired unrevoked
    Given mc1 has a new certificate called short, valid from day -1 to day 1
    And mc1 registers its certificate short
    And mc1 creates a reach measurement with edp1, where
      | measurement.measurement_consumer_certificate | "{mc1.short}" |
    When the clock moves forward by 2 days
    And mc1 creates a reach measurement with edp1, where
      | measurement.measurement_consumer_certificate | "{mc1.short}" |
    Then the call fails with FAILED_PRECONDITION and reason CERTIFICATE_IS_INVALID
    And the server recorded a refused call with cause certificate_expired
    When mc1 creates a reach measurement with edp1
    Then mc1's certificate short is dead by certificate_expired, and its certificate is not, as the last two calls of Measurements.CreateMeasurement show
    And the monitor saw exactly
      | mc1 | certificate_expired | 1.6.1 |

  @contract-1.6.4 @contract-3.3.2
  Scenario: a result signed by a certificate that has expired unrevoked
    Given edp1 has a new certificate called short, valid from day -1 to day 1
    And edp1 registers its certificate short
    And edp1 signs with its certificate short
    And mc1 creates a reach measurement called early with edp1
    And edp1 handles its requisitions
    And mc1 has read the results of mc1.early
    And the clock moves forward by 2 days
    And mc1 creates a reach measurement called stale with edp1
    And edp1 handles its requisitions
    And edp1 has a new certificate called second
    And edp1 registers its certificate second
    And edp1 signs with its certificate second
    And mc1 creates a reach measurement called clean with edp1
    When edp1 handles its requisitions
    Then edp1's certificate short is dead to mc1 by 3.13.2/e: it rejects the results of mc1.stale, and accepts those of mc1.clean
    And the monitor saw exactly
      | mc1 | rejected | 3.13.2/e |

  @contract-3.1.5 @contract-3.2.3
  Scenario Outline: a signature with a wrong OID
    Given mc1 creates a reach measurement called m with edp1 that has <oid>
    When edp1 handles its requisitions
    Then the monitor saw exactly
      | edp1 | requisition_refused | 3.10/5 |
    And edp1 refuses mc1.m with CONSENT_SIGNAL_INVALID by 3.10/5

    Examples:
      | oid                        |
      | an unsupported OID         |
      | an OID of another key type |

  # The fallback is the algorithm of the issuer's signature, which here happens to be the right one.
  @contract-3.1.4 @contract-3.1.5
  Scenario: a signature without an OID verifies by luck
    Given mc1 creates a reach measurement called m with edp1 that has an empty OID
    When edp1 handles its requisitions
    Then edp1 fulfils mc1.m
    And it is a finding by 3.1.5 that mc1.m is signed without an OID, which edp1 could notice and did not
    And the monitor saw nothing

  @contract-3.2.3 @contract-3.10.1
  Scenario: an unsupported OID ends a faithful provider, and holds up every newer requisition
    Given the quirk provider-dies-instead-of-refusing is faithful
    And the quirk unsupported-oid-is-not-a-bad-signature is faithful
    And mc1 creates a reach measurement called bad with edp1 that has an unsupported OID
    And mc1 creates a reach measurement called good with edp1
    When edp1 handles its requisitions
    Then the monitor saw exactly
      | edp1 | participant_ended | 3.10/5 |
    And edp1 leaves the event participant_ended by 3.10/5
    And edp1 neither fulfils nor refuses mc1.good
