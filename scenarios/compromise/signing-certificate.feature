@compromise
Feature: The key of a consent signalling certificate is stolen
  Revoking stops three uses (1.6.2). Everything else that the certificate signs is accepted by the Kingdom
  and must be noticed by whoever reads it.

  @contract-1.6.5 @contract-3.13.2/d
  Scenario: a data provider's, in the order that loses nothing but what was open
    Given mc1 creates a reach measurement called stolen with edp1
    And edp1 handles its requisitions
    And mc1 has read the results of mc1.stolen
    And the clock moves forward by 30 minutes
    And mc1 creates a reach measurement called open with edp1
    And edp1 has a new certificate called second
    And edp1 registers its certificate second
    And edp1 signs with its certificate second
    And edp1 puts a new encryption key in force
    And mc1 creates a reach measurement called clean with edp1
    And edp1's certificate is in state REVOKED
    When edp1 handles its requisitions
    Then mc1 sees its measurement open failed with CERTIFICATE_REVOKED
    And edp1's certificate certificate is dead to mc1 by 3.13.2/d: it rejects the results of mc1.stolen, and accepts those of mc1.clean
    And the monitor saw exactly
      | mc1 | CERTIFICATE_REVOKED | 1.6.3 |
      | mc1 | rejected | 3.13.2/d |

  @contract-1.6.5 @contract-1.6.2
  Scenario: a data provider's, revoked first as runbooks say, until its key moves
    Given edp1 has a new certificate called second
    And edp1 registers its certificate second
    And mc1 has a direct reach measurement called open with edp1
    And the clock moves forward by 20 minutes
    And edp1's certificate is in state REVOKED
    When mc1 creates a reach measurement with edp1
    Then the call fails with FAILED_PRECONDITION and reason CERTIFICATE_IS_INVALID
    Given edp1 has a new encryption key called fresh, signed with second
    And edp1 has published its encryption key fresh with its certificate second
    When mc1 creates a reach measurement with edp1, where
      | measurement.data_providers[0].value.data_provider_certificate | "{edp1.second}" |
    Then edp1's certificate certificate is dead by certificate_revoked, and its second is not, as the last two calls of Measurements.CreateMeasurement show
    And the monitor saw exactly
      | mc1 | certificate_revoked | 1.6.1 |

  @contract-1.6.3 @contract-1.6.2
  Scenario: a measurement consumer's
    Given mc1 has a new certificate called second
    And mc1 registers its certificate second
    And mc1 has a direct reach measurement called open with edp1
    And the clock moves forward by 20 minutes
    And mc1's certificate is in state REVOKED
    When mc1 creates a reach measurement with edp1
    Then the call fails with FAILED_PRECONDITION and reason CERTIFICATE_IS_INVALID
    When mc1 creates a reach measurement with edp1, where
      | measurement.measurement_consumer_certificate | "{mc1.second}" |
    Then mc1's certificate certificate is dead by certificate_revoked, and its second is not, as the last two calls of Measurements.CreateMeasurement show
    And the monitor saw exactly
      | mc1 | certificate_revoked | 1.6.1 |
    And mc1 sees its measurement open failed with CERTIFICATE_REVOKED

  @contract-1.8.8 @contract-1.6.3
  Scenario: a Duchy's
    Given mc1 has an LLv2 reach measurement called open with edp1 and edp2
    And worker1 has set its parameters for mc1.open
    And the clock moves forward by 30 minutes
    And mc1 has an LLv2 reach measurement called new with edp1 and edp2
    And worker1 has a new certificate called second
    And worker1 registers its certificate second
    And worker1's certificate is in state REVOKED
    When worker1 sets its parameters for mc1.new
    Then the call fails with FAILED_PRECONDITION
    When worker1 sets its parameters for mc1.new with its certificate second
    Then worker1's certificate certificate is dead by certificate_revoked, and its second is not, as the last two calls of ComputationParticipants.SetParticipantRequisitionParams show
    And the monitor saw exactly
      | worker1 | certificate_revoked | 1.6.1 |
    And mc1 sees its measurement open failed with CERTIFICATE_REVOKED

  # No rule of the Kingdom asks for a model provider's certificate: its exchanges are between peers.
  @contract-1.6.3
  Scenario: a model provider's fails nothing, and nothing asks for it
    Given mc1 has a direct reach measurement called open with edp1
    And modelprovider1 has a new certificate called first
    And modelprovider1 registers its certificate first
    When modelprovider1 changes the certificate modelprovider1.first by REVOKED
    Then modelprovider1 sees its certificate called first in state REVOKED
    And mc1 sees its measurement open in state AWAITING_REQUISITION_FULFILLMENT

  @contract-1.6.2 @contract-3.13.1/c
  Scenario: a public key under the revoked certificate is accepted, and the reporting server notices
    Given edp1's certificate is in state REVOKED
    And edp1 has a new encryption key called planted
    When edp1 publishes its encryption key planted with its certificate certificate
    And reporting creates a reach measurement called m with edp1
    Then it is a finding by 1.6.2 that PublicKeys.UpdatePublicKey accepted edp1.certificate, which reporting noticed by 3.13.1/c
    And the monitor saw exactly
      | reporting | rejected | 3.13.1/c |

  @contract-1.6.2 @contract-3.15.1
  Scenario: results under the revoked certificate are accepted, and only a reader that looks notices
    Given mc1 creates a reach measurement called m with edp1
    And edp1 handles its requisitions
    And edp1's certificate is in state REVOKED
    Then mc1 rejects the results of mc1.m by 3.13.2/d
    And the monitor saw exactly
      | mc1 | rejected | 3.13.2/d |
    Given mc1 checks as little as the official tool
    Then it is a finding by 3.15.1 that mc1 noticed nothing of mc1.m

  # The order is what counts: these results came after the revocation, and the Kingdom took them.
  @contract-1.6.2 @contract-3.13.2/d
  Scenario: a fulfilment under a revoked certificate is accepted, and a reader that looks notices
    Given edp1 has a new certificate called stolen
    And edp1 registers its certificate stolen
    And edp1 signs with its certificate stolen
    And edp1's certificate stolen is revoked
    And the clock moves forward by 20 minutes
    And mc1 creates a reach measurement called m with edp1
    When edp1 handles its requisitions
    Then it is a finding by 1.6.2 that the results of mc1.m under edp1.stolen were accepted, which mc1 noticed by 3.13.2/d
    And the monitor saw exactly
      | mc1 | rejected | 3.13.2/d |

  @contract-1.6.2 @contract-3.9.2
  Scenario: a computation's result under the aggregator's revoked certificate is accepted, and a reader that looks notices
    Given mc1 creates a reach measurement called m with edp1 and edp2
    And every Duchy gives its key for mc1.m
    And edp1 handles its requisitions
    And edp2 handles its requisitions
    And every Duchy confirms mc1.m
    And aggregator has a new certificate called stolen
    And aggregator registers its certificate stolen
    And aggregator signs with its certificate stolen
    And aggregator's certificate stolen is revoked
    And the clock moves forward by 20 minutes
    When aggregator signs and delivers the result of mc1.m
    Then it is a finding by 1.6.2 that the results of mc1.m under aggregator.stolen were accepted, which mc1 noticed by 3.13.2/d
    And the monitor saw exactly
      | mc1 | rejected | 3.13.2/d |

  @contract-3.13.4/a
  Scenario: a reporting server that caches for an hour notices up to an hour late
    Given the quirk reporting-stale-caches is faithful
    And reporting creates a reach measurement called stolen with edp1
    And edp1 handles its requisitions
    And reporting reads the results of reporting.stolen
    And edp1's certificate is in state REVOKED
    When the clock moves forward by 59 minutes
    Then it is a finding by 3.13.4 that reporting noticed nothing of reporting.stolen
    And the monitor saw nothing
    When the clock moves forward by 2 minutes
    And reporting reads the results of reporting.stolen
    Then reporting answers FAILED_PRECONDITION
    And the monitor saw exactly
      | reporting | rejected | 3.13.2/d |

  # The whole of an incident: what was touched, what is dead, and what is left to do.
  @contract-1.6.3 @contract-1.5.12
  Scenario: an incident from the first suspicion to the list of what to do
    Given mc1 has a direct reach measurement called done with edp1
    And edp1 has fulfilled its requisition of mc1.done
    And the clock moves forward by 2 hours
    And mc1 has a direct reach measurement called open with edp1
    And mc1 has a direct reach measurement called other with edp2
    And edp1 has a new certificate called second
    And edp1 registers its certificate second
    And edp1 has a new encryption key called fresh, signed with second
    And the clock moves forward by 15 minutes
    And edp1's certificate is in state REVOKED
    When mc1 creates a reach measurement with edp1
    Then the call fails with FAILED_PRECONDITION and reason CERTIFICATE_IS_INVALID
    Given edp1 has published its encryption key fresh with its certificate second
    When mc1 creates a reach measurement with edp1, where
      | measurement.data_providers[0].value.data_provider_certificate | "{edp1.second}" |
    Then edp1's certificate certificate is dead by certificate_revoked, and its second is not, as the last two calls of Measurements.CreateMeasurement show
    And the monitor saw exactly
      | mc1 | certificate_revoked | 1.6.1 |
    And what edp1's certificate certificate, stolen 1 hour ago, has touched is
      | measurement | bound_to         | {mc1.done}              | before |
      | measurement | result_signed_by | {mc1.done}              | before |
      | requisition | bound_to         | {edp1.done_requisition} | before |
      | result      | result_signed_by | {edp1.done_requisition} | before |
      | measurement | bound_to         | {mc1.open}              | after  |
      | requisition | bound_to         | {edp1.open_requisition} | after  |
    And what is left to do about edp1's certificate certificate, stolen 1 hour ago, is
      | mc1 | re_create | {mc1.open} |

  # What the plan says is done by those whom it concerns, over the wire: a new certificate, the key signed
  # anew, the old one revoked, measurements created again, what nobody can trust deleted with its etag.
  @contract-1.6.5 @contract-8.2.3 @contract-1.8.2
  Scenario: an incident is repaired by all whom it concerns, and nothing of it is left
    Given mc1 creates a reach measurement called early with edp1
    And edp1 handles its requisitions
    And the clock moves forward by 2 hours
    And mc1 creates a reach measurement called suspect with edp1
    And edp1 handles its requisitions
    And mc1 creates a reach measurement called open with edp1
    When the repair plan of edp1's certificate certificate, stolen 1 hour ago, is carried out
    And edp1 handles the new requisitions
    Then nothing that edp1's certificate certificate, stolen 1 hour ago, has touched is open
    And mc1 accepts the results of all that the repair created anew
    And the measurements of mc1 are exactly
      | mc1.early         | SUCCEEDED                  |
      | mc1.open          | FAILED CERTIFICATE_REVOKED |
      | mc1.open_again    | SUCCEEDED                  |
      | mc1.suspect_again | SUCCEEDED                  |

  # The late result makes it SUCCEEDED and leaves the failure beside it: nobody has repaired anything.
  @contract-1.6.7 @contract-1.5.2 @contract-1.8.2
  Scenario: a late result closes no repair: the measurement is created again, and what came late is deleted
    Given mc1 creates a reach measurement called m with edp1 and edp2
    And every Duchy gives its key for mc1.m
    And edp1 has a new certificate called second
    And edp1 registers its certificate second
    And edp1 signs with its certificate second
    And edp1 puts a new encryption key in force
    And edp1's certificate is in state REVOKED
    Then mc1 sees its measurement m failed with CERTIFICATE_REVOKED
    And what is left to do about edp1's certificate certificate is
      | mc1 | re_create | {mc1.m} |
    When aggregator signs and delivers the result of mc1.m
    Then what is left to do about edp1's certificate certificate is
      | mc1      | re_create | {mc1.m} |
      | operator | delete    | {mc1.m} |
    When the repair plan of edp1's certificate certificate is carried out
    Then nothing that edp1's certificate certificate has touched is open
    And the measurements of mc1 are exactly
      | mc1.m_again | AWAITING_REQUISITION_FULFILLMENT |

  # What the second plan deletes is what the first one had created anew: the chain keeps its first name.
  @contract-1.6.3 @contract-8.2.3 @contract-1.8.2
  Scenario: two plans one after the other close what both have touched
    Given mc1 creates a reach measurement called open with edp1
    When the repair plan of edp1's certificate certificate is carried out
    And edp1 handles the new requisitions
    Then nothing that edp1's certificate certificate has touched is open
    When the repair plan of mc1's certificate certificate is carried out
    And edp1 handles the new requisitions
    Then nothing that mc1's certificate certificate has touched is open
    And nothing that edp1's certificate certificate has touched is open
    And mc1 accepts the results of mc1.open_again_again
    And the measurements of mc1 are exactly
      | mc1.open             | FAILED CERTIFICATE_REVOKED |
      | mc1.open_again_again | SUCCEEDED                  |

  # A reference id is free text (1.5.6): whoever carries the name has to ask the same of the same.
  @contract-1.5.6 @contract-1.6.3 @contract-8.2.3
  Scenario: a measurement that carries the old name and asks something else of somebody else replaces nothing
    Given mc1 has a direct reach measurement called open with edp1
    And edp1 has a new certificate called second
    And edp1 registers its certificate second
    And edp1 has a new encryption key called fresh, signed with second
    And edp1 has published its encryption key fresh with its certificate second
    And edp1's certificate is in state REVOKED
    And mc1 has a direct population measurement called population with edp2, where
      | measurement.measurement_reference_id | "{mc1.open}" |
    And mc1 has a direct population measurement called asked with edp1, where
      | measurement.measurement_reference_id | "{mc1.open}" |
    And mc1 has a direct reach measurement called elsewhere with edp2, where
      | measurement.measurement_reference_id | "{mc1.open}" |
    Then what is left to do about edp1's certificate certificate is
      | mc1 | re_create | {mc1.open} |
    Given mc1 has a direct reach measurement called again with edp1, where
      | measurement.measurement_reference_id | "{mc1.open}" |
    Then nothing that edp1's certificate certificate has touched is open

  # Whoever has the leaf can register and release in the owner's name, so it goes first. What the plan ends at
  # the Kingdom its peers go on taking (3.13.3, 4.5): there nothing but the root of the new certificate ends it.
  @contract-1.6.3/ModelProvider @contract-3.4.3 @contract-4.5
  Scenario: a model provider's key and leaf are stolen, its plan is carried out, and its peers must take a new root
    Given mc1 creates a reach measurement called open with edp1
    And modelprovider1 has a new certificate called stolen
    And modelprovider1 registers its certificate stolen
    And modelprovider1 signs with its certificate stolen
    And edp1's panel match stores modelprovider1's root
    And edp1's panel match takes what is signed with modelprovider1's certificate stolen
    And modelprovider1's first leaf works at every door
    And modelprovider1's first root works at every door
    And the clock moves forward by 30 minutes
    And modelprovider1 gets a new root
    And the trust bundle includes modelprovider1's new root
    And the principal map knows modelprovider1's new root
    And modelprovider1 presents a leaf of its new root
    And the trust bundle no longer includes modelprovider1's root
    And the principal map no longer knows modelprovider1's old root
    And all 2 replicas are restarted
    Then what is left to do about modelprovider1's certificate stolen is
      | modelprovider1 | create_certificate | {modelprovider1}        |
      | modelprovider1 | revoke_certificate | {modelprovider1.stolen} |
    When the repair plan of modelprovider1's certificate stolen is carried out
    Then nothing that modelprovider1's certificate stolen has touched is open
    And modelprovider1 sees its certificate called repaired in state REVOCATION_STATE_UNSPECIFIED
    And mc1 sees its measurement open in state AWAITING_REQUISITION_FULFILLMENT
    When modelprovider1 changes the certificate modelprovider1.stolen by release
    Then the call fails with FAILED_PRECONDITION and reason CERTIFICATE_REVOCATION_STATE_ILLEGAL
    When modelprovider1 calls Certificates.CreateCertificate with
      """
      parent: "{modelprovider1}" certificate { x509_der: "{modelprovider1.stolen_der}" }
      """
    Then the call fails with ALREADY_EXISTS and reason CERT_SUBJECT_KEY_ID_ALREADY_EXISTS
    And it is a finding by 4.5 that edp1's panel match takes what is signed with modelprovider1's certificate stolen, which is revoked
    When edp1's panel match stores modelprovider1's new root
    Then modelprovider1's certificate stolen is dead to edp1's panel match by 3.4.3, and its repaired is not
    And modelprovider1's old leaf is dead, and its new one is not, at
      | the Kingdom | unknown_issuer |
    And modelprovider1's old root is dead, and its new one is not, at
      | the Kingdom | unknown_issuer |

  # The Kingdom forgets a key that is replaced: what is under it is remembered from the first assessment.
  @contract-1.2.4 @contract-1.4.3
  Scenario: a key that the thief put in force is replaced, and what is encrypted to it is open until that is done anew
    Given mc1 has a new encryption key called planted
    And mc1 has published its encryption key planted with its certificate certificate
    And edp1 has an event group called g for mc1 with the metadata of "news"
    And mc1's encryption key planted opens the metadata of edp1.g
    When the repair plan of mc1's certificate certificate is carried out
    Then nothing that mc1's certificate certificate has touched is open
    And mc1's encryption key planted is dead for the metadata of edp1.g, and its repaired is not
    And the event groups of mc1 that are not under its key repaired are none

  # The spec is signed with another certificate, and asks for results under the key in force.
  @contract-1.5.14 @contract-1.2.4
  Scenario: what asks for results under a key that the stolen certificate vouches for is listed
    Given mc1 has a new certificate called second
    And mc1 registers its certificate second
    And mc1 signs with its certificate second
    And mc1 creates a reach measurement called m with edp1
    Then what mc1's certificate certificate has touched is
      | public_key  | signed_by    | {mc1}/publicKey |
      | measurement | encrypted_to | {mc1.m}         |
