Feature: The system API, for Duchies

  @contract-2.5
  Scenario Outline: who has no entry in the Duchy information is refused, whatever the principal map says
    Given <given>
    When <actor> calls system Computations.GetComputation with
      """
      name: "computations/AAAAAAAAAZQ"
      """
    Then the call fails with UNAUTHENTICATED

    Examples:
      | case              | given                                        | actor   |
      | a-provider        | a running Kingdom                            | edp1    |
      | no-identity       | worker1 presents a "akid-absent" certificate | worker1 |

  @contract-2.5
  Scenario: an entry of the principal map makes no Duchy there
    Given mc1 has a TrusTEE reach measurement called m with edp1 and edp2
    And the principal map gains
      """
      entries { authority_key_identifier: "{edp1.root_skid}" principal_resource_name: "duchies/worker1" }
      """
    And all 2 replicas are restarted
    When edp1 reads the certificate worker1.certificate
    Then the call succeeds
    When edp1 calls system Computations.GetComputation with
      """
      name: "{mc1.m_computation}"
      """
    Then the call fails with UNAUTHENTICATED

  @contract-2.5
  Scenario: a Duchy of the information passes
    Given mc1 has a TrusTEE reach measurement called m with edp1 and edp2
    When worker1 calls system Computations.GetComputation with
      """
      name: "{mc1.m_computation}"
      """
    Then the call succeeds

  @contract-2.10
  Scenario: a Duchy has one root, and of two entries the last counts
    Given mc1 has a TrusTEE reach measurement called m with edp1 and edp2
    And the Duchy information gains
      """
      duchies { duchy_id: "worker1" computation_control_service_cert_host: "localhost" root_certificate_skid: "{edp1.root_skid}" }
      """
    And all 2 replicas are restarted
    When worker1 calls system Computations.GetComputation with
      """
      name: "{mc1.m_computation}"
      """
    Then the call fails with UNAUTHENTICATED
    When edp1 calls system Computations.GetComputation with
      """
      name: "{mc1.m_computation}"
      """
    Then the call succeeds

  @contract-2.10
  Scenario Outline: of two Duchies with the same root the first listed counts
    Given mc1 has an LLv2 reach measurement called m with edp1 and edp2
    And the Duchy information is
      """
      duchies { duchy_id: "<first>" computation_control_service_cert_host: "localhost" root_certificate_skid: "{worker1.root_skid}" }
      duchies { duchy_id: "<second>" computation_control_service_cert_host: "localhost" root_certificate_skid: "{worker1.root_skid}" }
      """
    And all 2 replicas are restarted
    When worker1 sets its parameters for mc1.m
    Then the call <outcome>

    Examples:
      | first   | second  | outcome                      |
      | worker1 | worker2 | succeeds                     |
      | worker2 | worker1 | fails with PERMISSION_DENIED |

  @contract-1.8.7
  Scenario Outline: another Duchy's participant
    Given mc1 has an LLv2 reach measurement called m with edp1 and edp2
    When worker2 calls system ComputationParticipants.<method> with
      """
      name: "{worker1.m_participant}"
      """
    Then the call fails with PERMISSION_DENIED

    Examples:
      | method                          |
      | GetComputationParticipant       |
      | SetParticipantRequisitionParams |
      | ConfirmComputationParticipant   |
      | FailComputationParticipant      |

  @contract-1.8.7
  Scenario: a result needs a certificate of the caller
    Given mc1 has an LLv2 reach measurement called m with edp1 and edp2
    And mc1.m has reached PENDING_COMPUTATION
    When worker1 calls system Computations.SetComputationResult with
      """
      name: "{mc1.m_computation}" aggregator_certificate: "{aggregator.certificate}"
      result_public_key: "k" encrypted_result: "r" public_api_version: "v2alpha"
      """
    Then the call fails with PERMISSION_DENIED

  @contract-1.8.7
  Scenario: any Duchy reads any computation
    Given mc1 has a TrusTEE reach measurement called m with edp1 and edp2
    When worker2 calls system Computations.GetComputation with
      """
      name: "{mc1.m_computation}"
      """
    Then the call succeeds
    And the response has
      | name  | {mc1.m_computation}        |
      | state | PENDING_REQUISITION_PARAMS |

  @contract-1.8.7
  Scenario: any Duchy fulfils, and is recorded as the fulfilling one
    Given mc1 has an LLv2 reach measurement called m with edp1 and edp2
    And mc1.m has reached PENDING_REQUISITION_FULFILLMENT
    When worker2 calls system Requisitions.FulfillRequisition with
      """
      name: "{edp1.m_computation_requisition}" nonce: 5
      """
    Then the response has
      | state                              | FULFILLED               |
      | nonce                              | 5                       |
      | fulfilling_computation_participant | {worker2.m_participant} |

  @contract-1.8.8 @contract-1.6.2
  Scenario Outline: an invalid certificate, an unknown one and a wrong state look alike
    Given mc1 has an LLv2 reach measurement called m with edp1 and edp2
    And <given>
    When worker1 calls system ComputationParticipants.SetParticipantRequisitionParams with
      """
      name: "{worker1.m_participant}" requisition_params { duchy_certificate: "<certificate>" liquid_legions_v2 { el_gamal_public_key: "k" } }
      """
    Then the call fails with FAILED_PRECONDITION
    And the error has no ErrorInfo
    And the error has no description

    Examples:
      | case    | given                                     | certificate                        |
      | invalid | worker1's certificate is in state REVOKED | {worker1.certificate}              |
      | unknown | a running Kingdom                         | {worker1}/certificates/AAAAAAAAAZQ |
      | state   | mc1.m has reached CANCELLED               | {worker1.certificate}              |

  @contract-1.8.8
  Scenario: a computation that does not exist is unknown, without ErrorInfo
    When worker1 calls system Computations.GetComputation with
      """
      name: "computations/AAAAAAAAAZQ"
      """
    Then the call fails with UNKNOWN
    And the error has no ErrorInfo

  @contract-1.8.8 @contract-1.6.2
  Scenario: so is a result under a certificate that does not exist
    Given mc1 has an LLv2 reach measurement called m with edp1 and edp2
    And mc1.m has reached PENDING_COMPUTATION
    And aggregator.ghost is "{aggregator}/certificates/AAAAAAAAAZQ"
    When aggregator delivers the result of mc1.m with its certificate ghost
    Then the call fails with UNKNOWN
    And the error has no ErrorInfo

  @contract-1.8.9
  Scenario Outline: setting parameters, check by check
    Given mc1 has an LLv2 reach measurement called m with edp1 and edp2
    And <given>
    When <actor> calls system ComputationParticipants.SetParticipantRequisitionParams with
      """
      name: "<name>" etag: "<etag>"
      requisition_params { duchy_certificate: "<certificate>" liquid_legions_v2 { el_gamal_public_key: "k" } }
      """
    Then the call fails with <code>

    Examples:
      | case                         | given             | actor   | name                                          | etag  | certificate                          | code                |
      | name-before-ownership        | a running Kingdom | worker2 | nonsense                                      |       | nonsense                             | INVALID_ARGUMENT    |
      | ownership-before-certificate | a running Kingdom | worker2 | {worker1.m_participant}                       |       | nonsense                             | PERMISSION_DENIED   |
      | certificate-shape            | a running Kingdom | worker1 | {worker1.m_participant}                       |       | nonsense                             | INVALID_ARGUMENT    |
      | certificate-of-another       | a running Kingdom | worker1 | {worker1.m_participant}                       |       | {worker2.certificate}                | INVALID_ARGUMENT    |
      | certificate-before-participant | a running Kingdom | worker1 | computations/AAAAAAAAAZQ/participants/worker1 | other | {worker1}/certificates/AAAAAAAAAZQ | FAILED_PRECONDITION |
      | participant-before-etag      | a running Kingdom | worker1 | computations/AAAAAAAAAZQ/participants/worker1 | other | {worker1.certificate}                | NOT_FOUND           |
      | etag-before-state            | mc1.m has reached CANCELLED | worker1 | {worker1.m_participant}             | other | {worker1.certificate}                | ABORTED             |
      | state                        | mc1.m has reached CANCELLED | worker1 | {worker1.m_participant}             |       | {worker1.certificate}                | FAILED_PRECONDITION |
      | set-already                  | worker1 has set its parameters for mc1.m | worker1 | {worker1.m_participant} |       | {worker1.certificate}               | FAILED_PRECONDITION |

  @contract-1.8.9 @contract-1.5.2
  Scenario Outline: what setting parameters leads to
    Given mc1 has a <protocol> reach measurement called m with edp1 and edp2
    When aggregator sets its parameters for mc1.m
    Then the response has
      | state                                | <state>                  |
      | requisition_params.duchy_certificate | {aggregator.certificate} |
    Given mc1.m has reached PENDING_REQUISITION_FULFILLMENT
    Then the operator sees edp1's requisition of mc1.m in state UNFULFILLED

    Examples:
      | protocol | state                  |
      | LLv2     | REQUISITION_PARAMS_SET |
      | RO-LLv2  | REQUISITION_PARAMS_SET |
      | HMSS     | READY                  |
      | TrusTEE  | READY                  |

  @contract-1.8.9
  Scenario: until all have set theirs, the measurement waits
    Given mc1 has an LLv2 reach measurement called m with edp1 and edp2
    And worker1 has set its parameters for mc1.m
    And worker2 has set its parameters for mc1.m
    Then the operator sees mc1.m in state PENDING_REQUISITION_PARAMS
    And the operator sees edp1's requisition of mc1.m in state PENDING_PARAMS
