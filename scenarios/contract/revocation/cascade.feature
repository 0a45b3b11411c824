Feature: What revoking an API certificate fails, and what it leaves alone

  @contract-1.6.3/MeasurementConsumer
  Scenario Outline: all pending measurements that were created with the consumer's certificate fail
    Given mc1 has an LLv2 reach measurement called m with edp1 and edp2
    And mc1.m has reached <state>
    When mc1 changes the certificate mc1.certificate by <how>
    Then mc1 sees its measurement m failed with CERTIFICATE_REVOKED
    And the operator sees edp1's requisition of mc1.m in state <requisition>

    Examples:
      | case                      | state                            | how     | requisition |
      | awaiting-params           | PENDING_REQUISITION_PARAMS       | REVOKED | WITHDRAWN   |
      | awaiting-fulfilment       | PENDING_REQUISITION_FULFILLMENT  | REVOKED | WITHDRAWN   |
      | awaiting-confirmation     | PENDING_PARTICIPANT_CONFIRMATION | REVOKED | FULFILLED   |
      | computing                 | PENDING_COMPUTATION              | REVOKED | FULFILLED   |
      | on-hold                   | PENDING_REQUISITION_FULFILLMENT  | HOLD    | WITHDRAWN   |

  @contract-1.6.3/MeasurementConsumer
  Scenario Outline: the consumer's cascade reaches the other protocols of the Duchies
    Given mc1 has a <protocol> reach measurement called m with edp1 and edp2
    And mc1.m has reached <state>
    When mc1 changes the certificate mc1.certificate by <how>
    Then mc1 sees its measurement m failed with CERTIFICATE_REVOKED
    And the operator sees edp1's requisition of mc1.m in state <requisition>
    And the operator sees edp2's requisition of mc1.m in state <requisition>

    Examples:
      | case                 | protocol | state                            | how     | requisition |
      | hmss-params          | HMSS     | PENDING_REQUISITION_PARAMS       | REVOKED | WITHDRAWN   |
      | hmss                 | HMSS     | PENDING_REQUISITION_FULFILLMENT  | REVOKED | WITHDRAWN   |
      | hmss-computing       | HMSS     | PENDING_COMPUTATION              | REVOKED | FULFILLED   |
      | trustee              | TrusTEE  | PENDING_REQUISITION_FULFILLMENT  | REVOKED | WITHDRAWN   |
      | trustee-computing    | TrusTEE  | PENDING_COMPUTATION              | HOLD    | FULFILLED   |
      | ro-llv2              | RO-LLv2  | PENDING_REQUISITION_FULFILLMENT  | HOLD    | WITHDRAWN   |
      | ro-llv2-confirmation | RO-LLv2  | PENDING_PARTICIPANT_CONFIRMATION | REVOKED | FULFILLED   |

  @contract-1.6.3/MeasurementConsumer @contract-1.6.6
  Scenario: measurements under the consumer's other certificate go on
    Given mc1 has a new certificate called second
    And mc1 registers its certificate second
    And mc1 has a direct reach measurement called old with edp1
    And mc1 has a direct reach measurement called new with edp1, where
      | measurement.measurement_consumer_certificate | "{mc1.second}" |
    When mc1 changes the certificate mc1.certificate by REVOKED
    Then mc1 sees its measurement old failed with CERTIFICATE_REVOKED
    And mc1 sees its measurement new in state AWAITING_REQUISITION_FULFILLMENT

  @contract-1.6.3/MeasurementConsumer
  Scenario Outline: what is terminal stays as it is
    Given mc1 has a direct reach measurement called m with edp1
    And <given>
    When mc1 changes the certificate mc1.certificate by REVOKED
    Then mc1 sees its measurement m in state <state>

    Examples:
      | state     | given                                                       |
      | SUCCEEDED | edp1 has fulfilled its requisition of mc1.m                 |
      | CANCELLED | mc1.m has reached CANCELLED                                 |

  @contract-1.6.3/DataProvider
  Scenario Outline: measurements with an open requisition bound to the provider's certificate fail
    Given mc1 has a <protocol> reach measurement called m with <providers>
    And mc1.m has reached <state>
    When edp1 changes the certificate edp1.certificate by <how>
    Then mc1 sees its measurement m failed with CERTIFICATE_REVOKED
    And the operator sees edp1's requisition of mc1.m in state WITHDRAWN

    Examples:
      | case            | protocol | providers     | state                           | how     |
      | direct          | direct   | edp1          | PENDING_REQUISITION_FULFILLMENT | REVOKED |
      | direct-hold     | direct   | edp1          | PENDING_REQUISITION_FULFILLMENT | HOLD    |
      | llv2-params     | LLv2     | edp1 and edp2 | PENDING_REQUISITION_PARAMS      | REVOKED |
      | llv2            | LLv2     | edp1 and edp2 | PENDING_REQUISITION_FULFILLMENT | REVOKED |
      | ro-llv2         | RO-LLv2  | edp1 and edp2 | PENDING_REQUISITION_FULFILLMENT | REVOKED |
      | hmss-params     | HMSS     | edp1 and edp2 | PENDING_REQUISITION_PARAMS      | REVOKED |
      | hmss            | HMSS     | edp1 and edp2 | PENDING_REQUISITION_FULFILLMENT | REVOKED |
      | trustee         | TrusTEE  | edp1 and edp2 | PENDING_REQUISITION_FULFILLMENT | REVOKED |

  @contract-1.6.3/DataProvider
  Scenario Outline: the open requisitions of all its providers are withdrawn, the fulfilled ones stay
    Given mc1 has a <protocol> reach measurement called m with edp1 and edp2
    And mc1.m has reached PENDING_REQUISITION_FULFILLMENT
    And <given>
    When edp1 changes the certificate edp1.certificate by REVOKED
    Then the operator sees edp1's requisition of mc1.m in state WITHDRAWN
    And the operator sees edp2's requisition of mc1.m in state <state>

    Examples:
      | case           | protocol | given                                       | state     |
      | llv2-open      | LLv2     | a running Kingdom                           | WITHDRAWN |
      | llv2-fulfilled | LLv2     | edp2 has fulfilled its requisition of mc1.m | FULFILLED |
      | hmss-open      | HMSS     | a running Kingdom                           | WITHDRAWN |
      | hmss-fulfilled | HMSS     | edp2 has fulfilled its requisition of mc1.m | FULFILLED |

  @contract-1.6.3/DataProvider
  Scenario Outline: a provider that fulfilled already is not touched by its own revocation
    Given mc1 has a <protocol> reach measurement called m with edp1 and edp2
    And mc1.m has reached PENDING_REQUISITION_FULFILLMENT
    And edp1 has fulfilled its requisition of mc1.m
    When edp1 changes the certificate edp1.certificate by REVOKED
    Then the operator sees mc1.m in state PENDING_REQUISITION_FULFILLMENT
    And the operator sees edp1's requisition of mc1.m in state FULFILLED
    And the operator sees edp2's requisition of mc1.m in state UNFULFILLED

    Examples:
      | protocol |
      | LLv2     |
      | HMSS     |
      | TrusTEE  |

  @contract-1.6.3/DataProvider
  Scenario: a result signed by the revoked certificate still makes the measurement succeed
    Given mc1 has a direct impression measurement called m with edp1 and edp2
    And edp1 has fulfilled its requisition of mc1.m
    When edp1 changes the certificate edp1.certificate by REVOKED
    And edp2 fulfils its requisition of mc1.m
    Then mc1 sees its measurement m in state SUCCEEDED
    When mc1 calls Measurements.GetMeasurement with
      """
      name: "{mc1.m}"
      """
    Then the response lists "{edp1.certificate}" among results[*].certificate

  @contract-1.6.3/DataProvider @contract-1.6.6
  Scenario: requisitions bound to the provider's other certificate stay open
    Given mc1 has a direct reach measurement called old with edp1
    And edp1 has a new certificate called second
    And edp1 registers its certificate second
    And edp1 has a new encryption key called fresh
    And edp1 has published its encryption key fresh with its certificate second
    And mc1 has a direct reach measurement called new with edp1
    When edp1 changes the certificate edp1.second by REVOKED
    Then mc1 sees its measurement new failed with CERTIFICATE_REVOKED
    And mc1 sees its measurement old in state AWAITING_REQUISITION_FULFILLMENT

  @contract-1.6.3/DataProvider @contract-1.6.2
  Scenario: a certificate that only signs results has no requisition bound to it
    Given mc1 has a direct impression measurement called m with edp1 and edp2
    And edp1 has a new certificate called results
    And edp1 registers its certificate results
    When edp1 calls Requisitions.FulfillDirectRequisition with
      """
      name: "{edp1.m_requisition}" nonce: 1 certificate: "{edp1.results}"
      encrypted_result { ciphertext: "c" type_url: "type.googleapis.com/wfa.measurement.api.v2alpha.SignedMessage" }
      """
    And edp1 changes the certificate edp1.results by REVOKED
    Then mc1 sees its measurement m in state AWAITING_REQUISITION_FULFILLMENT
    And the operator sees edp2's requisition of mc1.m in state UNFULFILLED

  @contract-1.6.3/Duchy
  Scenario Outline: a Duchy's certificate fails what its participant has set parameters with, and not confirmed yet
    Given mc1 has an <protocol> reach measurement called m with edp1 and edp2
    And mc1.m has reached <state>
    And <given>
    When worker1 changes the certificate worker1.certificate by <how>
    Then mc1 sees its measurement m failed with CERTIFICATE_REVOKED

    Examples:
      | case                  | protocol | state                            | given                                | how     |
      | awaiting-params       | LLv2     | PENDING_REQUISITION_PARAMS       | worker1 has set its parameters for mc1.m | REVOKED |
      | awaiting-fulfilment   | LLv2     | PENDING_REQUISITION_FULFILLMENT  | a running Kingdom                    | REVOKED |
      | on-hold               | LLv2     | PENDING_REQUISITION_FULFILLMENT  | a running Kingdom                    | HOLD    |
      | reach-only            | RO-LLv2  | PENDING_REQUISITION_FULFILLMENT  | a running Kingdom                    | REVOKED |

  @contract-1.6.8 @contract-1.6.3/Duchy
  Scenario: before confirmation a Duchy's revocation fails an LLv2 measurement although all requisitions are fulfilled
    Given mc1 has an LLv2 reach measurement called m with edp1 and edp2
    And mc1.m has reached PENDING_PARTICIPANT_CONFIRMATION
    When worker2 changes the certificate worker2.certificate by REVOKED
    Then mc1 sees its measurement m failed with CERTIFICATE_REVOKED
    And the operator sees edp1's requisition of mc1.m in state FULFILLED

  @contract-1.6.8 @contract-1.6.3/Duchy
  Scenario: a participant that confirmed is past the reach of its revocation
    Given mc1 has an LLv2 reach measurement called m with edp1 and edp2
    And mc1.m has reached PENDING_PARTICIPANT_CONFIRMATION
    When worker1 calls system ComputationParticipants.ConfirmComputationParticipant with
      """
      name: "{worker1.m_participant}"
      """
    And worker1 changes the certificate worker1.certificate by REVOKED
    Then the operator sees mc1.m in state PENDING_PARTICIPANT_CONFIRMATION
    And the operator sees worker1's part in mc1.m in state READY

  @contract-1.6.3/Duchy
  Scenario Outline: a Duchy's revocation never fails HMSS and TrusTEE, whose participants are ready at once
    Given mc1 has a <protocol> reach measurement called m with edp1 and edp2
    And mc1.m has reached <state>
    When aggregator changes the certificate aggregator.certificate by REVOKED
    Then the operator sees mc1.m in state <state>
    And the operator sees aggregator's part in mc1.m in state READY

    Examples:
      | case             | protocol | state                           |
      | hmss-fulfilment  | HMSS     | PENDING_REQUISITION_FULFILLMENT |
      | hmss-computing   | HMSS     | PENDING_COMPUTATION             |
      | trustee          | TrusTEE  | PENDING_REQUISITION_FULFILLMENT |
      | llv2-computing   | LLv2     | PENDING_COMPUTATION             |

  @contract-1.6.3/Duchy
  Scenario: before a Duchy has set its parameters its revocation fails nothing
    Given mc1 has an LLv2 reach measurement called m with edp1 and edp2
    When worker1 changes the certificate worker1.certificate by REVOKED
    Then the operator sees mc1.m in state PENDING_REQUISITION_PARAMS
    And the operator sees worker1's part in mc1.m in state CREATED

  @contract-1.6.3/Duchy @contract-1.6.6
  Scenario: the cascade leaves participants as they are
    Given mc1 has an LLv2 reach measurement called m with edp1 and edp2
    And mc1.m has reached PENDING_REQUISITION_FULFILLMENT
    When worker1 changes the certificate worker1.certificate by REVOKED
    Then the operator sees mc1.m in state FAILED
    And the operator sees worker1's part in mc1.m in state REQUISITION_PARAMS_SET
    And the operator sees worker2's part in mc1.m in state REQUISITION_PARAMS_SET

  @contract-1.6.3/ModelProvider
  Scenario: a model provider's certificate fails nothing
    Given modelprovider1 has a new certificate called certificate
    And modelprovider1 registers its certificate certificate
    And mc1 has a direct reach measurement called m with edp1
    When modelprovider1 changes the certificate modelprovider1.certificate by REVOKED
    Then the call succeeds
    And mc1 sees its measurement m in state AWAITING_REQUISITION_FULFILLMENT

  @contract-1.5.3
  Scenario: the failure's text differs by the kind of owner
    Given mc1 has a new certificate called second
    And mc1 registers its certificate second
    And mc1 has an LLv2 reach measurement called by_mc with edp1 and edp2, where
      | measurement.measurement_consumer_certificate | "{mc1.second}" |
    And mc1's certificate second is revoked
    And mc1 has a direct reach measurement called by_edp with edp1
    And mc1 has an LLv2 reach measurement called by_duchy with edp2 and edp1
    And mc1.by_duchy has reached PENDING_PARTICIPANT_CONFIRMATION
    And edp1's certificate is in state REVOKED
    And worker1's certificate is in state REVOKED
    When mc1 calls Measurements.GetMeasurement with
      """
      name: "{mc1.by_mc}"
      """
    Then the response has failure.reason: CERTIFICATE_REVOKED
    And the response field failure.message is saved as of_mc
    When mc1 calls Measurements.GetMeasurement with
      """
      name: "{mc1.by_edp}"
      """
    Then the response has failure.reason: CERTIFICATE_REVOKED
    And the response field failure.message is saved as of_edp
    When mc1 calls Measurements.GetMeasurement with
      """
      name: "{mc1.by_duchy}"
      """
    Then the response has failure.reason: CERTIFICATE_REVOKED
    And the response field failure.message is not "{of_mc}"
    And the response field failure.message is not "{of_edp}"
    And "{of_mc}" differs from "{of_edp}"

  @contract-1.6.3/DataProvider @contract-1.6.6
  Scenario: a failed measurement and its withdrawn requisition have a new update time and etag
    Given mc1 has a direct reach measurement called m with edp1
    And the clock moves forward by 5 seconds
    When mc1 calls Measurements.GetMeasurement with
      """
      name: "{mc1.m}"
      """
    Then the response field update_time is saved as before
    When edp1 changes the certificate edp1.certificate by REVOKED
    And mc1 calls Measurements.GetMeasurement with
      """
      name: "{mc1.m}"
      """
    Then the response field update_time is not "{before}"
    When edp1 calls Requisitions.GetRequisition with
      """
      name: "{edp1.m_requisition}"
      """
    Then the response has state: WITHDRAWN
    And the response field etag is not "{edp1.m_requisition_etag}"

  @contract-1.1.14
  Scenario Outline: every successful revocation runs the cascade, a second hold and what follows a hold too
    Given mc1 has a direct reach measurement called first with edp1
    And mc1's certificate is in state HOLD
    When mc1 changes the certificate mc1.certificate by release
    Then the call succeeds
    Given mc1 has a direct reach measurement called second with edp1
    When mc1 changes the certificate mc1.certificate by <again>
    Then mc1 sees its measurement second failed with CERTIFICATE_REVOKED

    Examples:
      | again   |
      | HOLD    |
      | REVOKED |

  @contract-1.1.14
  Scenario: releasing a hold restores no measurement
    Given mc1 has a direct reach measurement called m with edp1
    And mc1's certificate is in state HOLD
    When mc1 changes the certificate mc1.certificate by release
    Then the call succeeds
    And mc1 sees its measurement m failed with CERTIFICATE_REVOKED

  @contract-1.6.2
  Scenario Outline: a revoked certificate is no obstacle to a provider's other calls
    Given mc1 has a direct reach measurement called m with edp1
    And edp1 has a new certificate called second
    And edp1 registers its certificate second
    And edp1's certificate second is revoked
    When edp1 calls <method> with
      """
      <request>
      """
    Then the call succeeds

    Examples:
      | method                                 | request |
      | Requisitions.FulfillDirectRequisition  | name: "{edp1.m_requisition}" nonce: 1 certificate: "{edp1.second}" encrypted_result { ciphertext: "c" type_url: "type.googleapis.com/wfa.measurement.api.v2alpha.SignedMessage" } |
      | EventGroups.CreateEventGroup           | parent: "{edp1}" event_group { measurement_consumer: "{mc1}" } |
      | Certificates.GetCertificate            | name: "{edp1.second}" |
      | DataProviders.GetDataProvider          | name: "{edp1}" |

  @contract-1.6.2
  Scenario Outline: a Duchy's certificate is checked when it sets its parameters
    Given mc1 has an LLv2 reach measurement called m with edp1 and edp2
    And worker1's certificate is in state <state>
    When worker1 sets its parameters for mc1.m
    Then the call fails with FAILED_PRECONDITION
    And the error has no ErrorInfo
    And the error has no description
    And the server recorded a refused call with cause <cause>

    Examples:
      | state   | cause               |
      | HOLD    | certificate_on_hold |
      | REVOKED | certificate_revoked |

  @contract-1.6.5
  Scenario: in the safe order the provider takes part in new measurements all the time
    Given edp1 has a new certificate called second
    And edp1 registers its certificate second
    And edp1 has a new encryption key called fresh
    And edp1 has published its encryption key fresh with its certificate second
    And edp1's certificate is in state REVOKED
    When mc1 creates a reach measurement with edp1
    Then the call succeeds
    And the response field name is saved as m
    When mc1 calls Measurements.GetMeasurement with
      """
      name: "{m}"
      """
    Then the response has data_providers[0].value.data_provider_certificate: {edp1.second}

  @contract-1.6.5
  Scenario: revoking first stops the provider's new measurements until its key moves
    Given edp1 has a new certificate called second
    And edp1 registers its certificate second
    And edp1's certificate is in state REVOKED
    When mc1 creates a reach measurement with edp1
    Then the call fails with FAILED_PRECONDITION and reason CERTIFICATE_IS_INVALID
    Given edp1 has a new encryption key called fresh
    And edp1 has published its encryption key fresh with its certificate second
    When mc1 creates a reach measurement with edp1
    Then the call succeeds

  @contract-1.6.5
  Scenario: even in the safe order, revoking fails what is still open under the old certificate
    Given mc1 has a direct reach measurement called m with edp1
    And edp1 has a new certificate called second
    And edp1 registers its certificate second
    And edp1 has a new encryption key called fresh
    And edp1 has published its encryption key fresh with its certificate second
    When edp1 changes the certificate edp1.certificate by REVOKED
    Then mc1 sees its measurement m failed with CERTIFICATE_REVOKED

  @contract-1.6.7 @contract-1.5.2
  Scenario Outline: a late result of the Duchies
    Given the quirk late-result-overwrites-terminal-state is <setting>
    And mc1 has an LLv2 reach measurement called m with edp1 and edp2
    And mc1.m has reached PENDING_COMPUTATION
    And <given>
    When aggregator delivers the result of mc1.m
    Then the call <outcome>
    And mc1 sees its measurement m in state <state>

    Examples:
      | case                    | setting       | given                                   | outcome           | state     |
      | faithful-after-failure  | faithful      | mc1's certificate is in state REVOKED   | succeeds          | SUCCEEDED |
      | faithful-after-cancel   | faithful      | mc1.m has reached CANCELLED             | succeeds          | SUCCEEDED |
      | documented-after-failure | as-documented | mc1's certificate is in state REVOKED  | fails with UNKNOWN | FAILED   |
      | documented-after-cancel | as-documented | mc1.m has reached CANCELLED             | fails with UNKNOWN | CANCELLED |

  @contract-1.6.7 @contract-1.5.2
  Scenario: after a late result the failure stays filled and the results are visible
    Given mc1 has an LLv2 reach measurement called m with edp1 and edp2
    And mc1.m has reached PENDING_COMPUTATION
    And mc1's certificate is in state REVOKED
    When aggregator delivers the result of mc1.m
    And mc1 calls Measurements.GetMeasurement with
      """
      name: "{mc1.m}"
      """
    Then the response has state: SUCCEEDED
    And the response has failure.reason: CERTIFICATE_REVOKED
    And the response has 1 results

  @contract-1.5.2
  Scenario: a second result fails
    Given mc1 has an LLv2 reach measurement called m with edp1 and edp2
    And mc1.m has reached SUCCEEDED
    When aggregator delivers the result of mc1.m
    Then the call fails with UNKNOWN

  @contract-1.6.9
  Scenario Outline: a participant's failure ends the measurement from any pending state
    Given mc1 has an LLv2 reach measurement called m with edp1 and edp2
    And mc1.m has reached <state>
    When worker1 fails in mc1.m
    Then the call succeeds
    And mc1 sees its measurement m failed with COMPUTATION_PARTICIPANT_FAILED
    And the operator sees edp1's requisition of mc1.m in state <requisition>

    Examples:
      | state                            | requisition |
      | PENDING_REQUISITION_PARAMS       | WITHDRAWN   |
      | PENDING_REQUISITION_FULFILLMENT  | WITHDRAWN   |
      | PENDING_PARTICIPANT_CONFIRMATION | FULFILLED   |
      | PENDING_COMPUTATION              | FULFILLED   |
