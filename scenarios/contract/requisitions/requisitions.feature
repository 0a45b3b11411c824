Feature: Requisitions: listing, reading, refusing, fulfilling

  @contract-1.7.1
  Scenario Outline: only the canonical form of a name is accepted
    Given mc1 has a direct reach measurement called m with edp1
    When <actor> calls Requisitions.<method> with
      """
      name: "{mc1.m}/requisitions/{edp1.m_requisition_id}" <more>
      """
    Then the call fails with INVALID_ARGUMENT

    Examples:
      | method                   | actor | more |
      | GetRequisition           | edp1  |      |
      | RefuseRequisition        | edp1  | refusal { justification: DECLINED } |
      | FulfillDirectRequisition | edp1  | nonce: 1 encrypted_result { ciphertext: "c" type_url: "type.googleapis.com/wfa.measurement.api.v2alpha.SignedMessage" } |

  @contract-1.7.1
  Scenario: the canonical name is the provider's
    Given mc1 has a direct reach measurement called m with edp1
    When edp1 calls Requisitions.GetRequisition with
      """
      name: "{edp1}/requisitions/{edp1.m_requisition_id}"
      """
    Then the call succeeds
    And the response has
      | name        | {edp1}/requisitions/{edp1.m_requisition_id} |
      | measurement | {mc1.m}                                     |

  @contract-1.7.2
  Scenario Outline: who lists
    Given mc1 has a direct reach measurement called m with edp1
    When <actor> calls Requisitions.ListRequisitions with
      """
      parent: "<parent>"
      """
    Then the call fails with <code>

    Examples:
      | case                      | actor | parent                                             | code              |
      | another-provider          | edp1  | {edp2}                                             | PERMISSION_DENIED |
      | consumer-by-provider      | mc1   | {edp1}                                             | PERMISSION_DENIED |
      | provider-by-measurement   | edp1  | {mc1.m}                                            | PERMISSION_DENIED |
      | another-consumer          | mc1   | measurementConsumers/AAAAAAAAAZQ/measurements/AAAAAAAAAZQ | PERMISSION_DENIED |
      | no-such-shape             | edp1  | nonsense                                           | INVALID_ARGUMENT  |

  @contract-1.7.2
  Scenario: a provider and the measurement's consumer see the same requisition
    Given mc1 has a direct reach measurement called m with edp1
    When edp1 calls Requisitions.ListRequisitions with
      """
      parent: "{edp1}"
      """
    Then the response lists requisitions[*].name in this order
      | {edp1.m_requisition} |
    When mc1 calls Requisitions.ListRequisitions with
      """
      parent: "{mc1.m}"
      """
    Then the response lists requisitions[*].name in this order
      | {edp1.m_requisition} |
    When mc1 calls Requisitions.ListRequisitions with
      """
      parent: "{mc1}/measurements/AAAAAAAAAZQ"
      """
    Then the response is empty

  @contract-1.7.2
  Scenario Outline: states, and what is never listed
    Given mc1 has an LLv2 reach measurement called pending with edp1 and edp2
    And mc1 has a direct reach measurement called open with edp1
    And mc1 has a direct reach measurement called fulfilled with edp1
    And edp1 has fulfilled its requisition of mc1.fulfilled
    And mc1 has a direct reach measurement called refused with edp1
    And edp1 has refused its requisition of mc1.refused with DECLINED
    When edp1 calls Requisitions.ListRequisitions with
      """
      parent: "{edp1}" filter { <filter> }
      """
    Then the response lists requisitions[*].name in this order
      | <first> |

    Examples:
      | case        | filter                                   | first                        |
      | unfulfilled | states: UNFULFILLED                      | {edp1.open_requisition}      |
      | fulfilled   | states: FULFILLED                        | {edp1.fulfilled_requisition} |
      | refused     | states: REFUSED                          | {edp1.refused_requisition}   |
      | the-one-accepted-measurement-state | states: UNFULFILLED measurement_states: AWAITING_REQUISITION_FULFILLMENT | {edp1.open_requisition} |

  @contract-1.7.2
  Scenario: without a filter all but the pending ones are listed, oldest update first
    Given mc1 has an LLv2 reach measurement called pending with edp1 and edp2
    And mc1 has a direct reach measurement called one with edp1
    And mc1 has a direct reach measurement called two with edp1
    And edp1 has refused its requisition of mc1.one with DECLINED
    When edp1 calls Requisitions.ListRequisitions with
      """
      parent: "{edp1}"
      """
    Then the response lists requisitions[*].name in this order
      | {edp1.two_requisition} |
      | {edp1.one_requisition} |

  @contract-1.7.2
  Scenario: STATE_UNSPECIFIED matches nothing
    Given mc1 has a direct reach measurement called one with edp1
    When edp1 calls Requisitions.ListRequisitions with
      """
      parent: "{edp1}" filter { states: STATE_UNSPECIFIED }
      """
    Then the response is empty

  @contract-1.7.2 @contract-1.0.6
  Scenario Outline: shape, deprecated filter, principal, ownership, page size, token
    Given <given>
    When edp1 calls Requisitions.ListRequisitions with
      """
      <request>
      """
    Then the call fails with <code>

    Examples:
      | case                          | given                                     | request                                                                  | code              |
      | filter-before-principal       | edp1 presents a "akid-absent" certificate | parent: "{edp2}" filter { measurement_states: COMPUTING }                | INVALID_ARGUMENT  |
      | principal-before-ownership    | edp1 presents a "akid-absent" certificate | parent: "{edp2}" page_size: -1                                           | UNAUTHENTICATED   |
      | ownership-before-page-size    | a running Kingdom                         | parent: "{edp2}" page_size: -1                                           | PERMISSION_DENIED |
      | page-size-before-token        | a running Kingdom                         | parent: "{edp1}" page_size: -1 page_token: "not base64!"                 | INVALID_ARGUMENT  |
      | token                         | a running Kingdom                         | parent: "{edp1}" page_token: "not base64!"                               | UNKNOWN           |
      | other-measurement-state       | a running Kingdom                         | parent: "{edp1}" filter { states: UNFULFILLED measurement_states: COMPUTING } | INVALID_ARGUMENT |
      | other-state                   | a running Kingdom                         | parent: "{edp1}" filter { states: FULFILLED measurement_states: AWAITING_REQUISITION_FULFILLMENT } | INVALID_ARGUMENT |

  @contract-1.7.2
  Scenario: a page has 10 unless it is asked otherwise
    Given mc1 creates a batch of 12 reach measurements with edp1
    When edp1 calls Requisitions.ListRequisitions with
      """
      parent: "{edp1}"
      """
    Then the response has 10 requisitions
    And the response field next_page_token is saved as token
    When edp1 calls Requisitions.ListRequisitions with
      """
      parent: "{edp1}" page_token: "{token}" page_size: 500
      """
    Then the response has 2 requisitions

  @contract-1.0.13/ListRequisitions
  Scenario Outline: a token and a filter other than its own
    Given the quirk list-requisitions-token-needs-same-filter is <setting>
    And mc1 has a direct reach measurement called one with edp1
    And mc1 has a direct reach measurement called two with edp1
    When edp1 calls Requisitions.ListRequisitions with
      """
      parent: "{edp1}" page_size: 1 filter { states: [UNFULFILLED, FULFILLED] }
      """
    Then the response field next_page_token is saved as token
    When edp1 calls Requisitions.ListRequisitions with
      """
      parent: "{edp1}" page_token: "{token}" filter { states: [<states>] }
      """
    Then the call <outcome>

    Examples:
      | case               | setting       | states                 | outcome                     |
      | faithful-same      | faithful      | UNFULFILLED, FULFILLED | succeeds                    |
      | faithful-order     | faithful      | FULFILLED, UNFULFILLED | fails with INVALID_ARGUMENT |
      | documented-order   | as-documented | FULFILLED, UNFULFILLED | succeeds                    |

  @contract-1.0.13/ListRequisitions
  Scenario: as documented, the token's filter applies
    Given the quirk list-requisitions-token-needs-same-filter is as-documented
    And mc1 has a direct reach measurement called one with edp1
    And mc1 has a direct reach measurement called two with edp1
    When edp1 calls Requisitions.ListRequisitions with
      """
      parent: "{edp1}" page_size: 1 filter { states: UNFULFILLED }
      """
    Then the response field next_page_token is saved as token
    When edp1 calls Requisitions.ListRequisitions with
      """
      parent: "{edp1}" page_token: "{token}" filter { states: REFUSED }
      """
    Then the response lists requisitions[*].name in this order
      | {edp1.two_requisition} |

  @contract-1.0.13/ListRequisitions
  Scenario: a token of another parent is refused
    Given mc1 has a direct reach measurement called one with edp1
    And token is the page token wfa.measurement.api.v2alpha.ListRequisitionsPageToken with
      """
      external_data_provider_id: {edp2.number} last_requisition { external_requisition_id: 1 }
      """
    When edp1 calls Requisitions.ListRequisitions with
      """
      parent: "{edp1}" page_token: "{token}"
      """
    Then the call fails with INVALID_ARGUMENT

  @contract-1.7.3
  Scenario Outline: only the owner reads
    Given mc1 has a direct reach measurement called m with edp1
    When <actor> calls Requisitions.GetRequisition with
      """
      name: "{edp1.m_requisition}"
      """
    Then the call fails with PERMISSION_DENIED
    And the error has no ErrorInfo

    Examples:
      | actor   |
      | edp2    |
      | mc1     |
      | worker1 |

  @contract-1.7.3 @contract-1.0.11/REQUISITION_NOT_FOUND @contract-1.0.12/GetRequisition
  Scenario: a requisition that does not exist is not found
    When edp1 calls Requisitions.GetRequisition with
      """
      name: "{edp1}/requisitions/AAAAAAAAAZQ"
      """
    Then the call fails with NOT_FOUND and reason REQUISITION_NOT_FOUND
    And the error domain is "halo.wfanet.org"
    And the error metadata is
      | requisition | {edp1}/requisitions/AAAAAAAAAZQ |

  @contract-1.7.4
  Scenario Outline: a requisition whose parameters are pending, read
    Given the quirk pending-params-requisition-visible is <setting>
    And mc1 has an LLv2 reach measurement called m with edp1 and edp2
    When edp1 calls Requisitions.GetRequisition with
      """
      name: "{edp1.m_requisition}"
      """
    Then the call <outcome>

    Examples:
      | setting       | outcome                                             |
      | faithful      | succeeds                                            |
      | as-documented | fails with NOT_FOUND and reason REQUISITION_NOT_FOUND |

  @contract-1.7.4 @contract-1.7.13
  Scenario: it shows as UNFULFILLED, with the Duchies that have set their parameters so far
    Given mc1 has an LLv2 reach measurement called m with edp1 and edp2
    And worker1 has set its parameters for mc1.m
    When edp1 calls Requisitions.GetRequisition with
      """
      name: "{edp1.m_requisition}"
      """
    Then the response has state: UNFULFILLED
    And the response lists duchies[*].key in this order
      | worker1 |
    And the operator sees edp1's requisition of mc1.m in state PENDING_PARAMS

  @contract-1.7.4 @contract-1.0.11/REQUISITION_STATE_ILLEGAL
  Scenario Outline: it can be neither refused nor fulfilled
    Given mc1 has an LLv2 reach measurement called m with edp1 and edp2
    When edp1 calls Requisitions.<method> with
      """
      name: "{edp1.m_requisition}" <more>
      """
    Then the call fails with FAILED_PRECONDITION and reason REQUISITION_STATE_ILLEGAL
    And the error metadata is
      | requisitionId | {edp1.m_requisition_id} |
      | state         | UNFULFILLED             |

    Examples:
      | method                   | more                                      |
      | RefuseRequisition        | refusal { justification: DECLINED }       |
      | FulfillDirectRequisition | nonce: 1 encrypted_result_ciphertext: "c" |

  @contract-1.7.4
  Scenario: as documented, it cannot be refused for it is not there
    Given the quirk pending-params-requisition-visible is as-documented
    And mc1 has an LLv2 reach measurement called m with edp1 and edp2
    When edp1 refuses its requisition of mc1.m with DECLINED
    Then the call fails with NOT_FOUND and reason REQUISITION_NOT_FOUND

  @contract-1.7.5 @contract-1.0.11/REQUISITION_STATE_ILLEGAL
  Scenario Outline: what is not open any more can be neither refused nor fulfilled
    Given mc1 has a direct impression measurement called m with edp1 and edp2
    And <given>
    When edp1 <does>
    Then the call fails with FAILED_PRECONDITION and reason REQUISITION_STATE_ILLEGAL
    And the error metadata is
      | requisitionId | {edp1.m_requisition_id} |
      | state         | <state>                 |

    Examples:
      | case               | given                                                     | does                                            | state     |
      | refuse-fulfilled   | edp1 has fulfilled its requisition of mc1.m               | refuses its requisition of mc1.m with DECLINED  | FULFILLED |
      | fulfil-fulfilled   | edp1 has fulfilled its requisition of mc1.m               | fulfils its requisition of mc1.m                | FULFILLED |
      | refuse-refused     | edp1 has refused its requisition of mc1.m with DECLINED   | refuses its requisition of mc1.m with DECLINED  | REFUSED   |
      | fulfil-withdrawn   | edp2 has refused its requisition of mc1.m with DECLINED   | fulfils its requisition of mc1.m                | WITHDRAWN |

  @contract-1.7.5
  Scenario: existence comes before the etag
    When edp1 calls Requisitions.RefuseRequisition with
      """
      name: "{edp1}/requisitions/AAAAAAAAAZQ" refusal { justification: DECLINED } etag: "nonsense"
      """
    Then the call fails with NOT_FOUND and reason REQUISITION_NOT_FOUND

  @contract-1.7.5 @contract-1.7.10
  Scenario: the etag comes before the state
    Given mc1 has a direct reach measurement called m with edp1
    And edp1 has refused its requisition of mc1.m with DECLINED
    When edp1 calls Requisitions.RefuseRequisition with
      """
      name: "{edp1.m_requisition}" refusal { justification: DECLINED } etag: "nonsense"
      """
    Then the call fails with UNKNOWN and reason REQUISITION_ETAG_MISMATCH

  @contract-1.7.6 @contract-1.7.7
  Scenario Outline: a refusal by each justification fails the measurement
    Given mc1 has a direct reach measurement called m with edp1
    When edp1 refuses its requisition of mc1.m with <justification>
    Then the call succeeds
    And the response has
      | state                 | REFUSED           |
      | refusal.justification | <justification>   |
      | refusal.message       | refused by edp1   |
      | measurement_state     | FAILED            |
    And the response field etag is not "{edp1.m_requisition_etag}"
    And mc1 sees its measurement m failed with REQUISITION_REFUSED

    Examples:
      | justification               |
      | CONSENT_SIGNAL_INVALID      |
      | SPEC_INVALID                |
      | INSUFFICIENT_PRIVACY_BUDGET |
      | UNFULFILLABLE               |
      | DECLINED                    |

  @contract-1.7.6
  Scenario Outline: refusing: name, justification, principal, owner
    Given mc1 has a direct reach measurement called m with edp1
    And <given>
    When <actor> calls Requisitions.RefuseRequisition with
      """
      <request>
      """
    Then the call fails with <code>

    Examples:
      | case                            | given                                     | actor | request                                                                 | code              |
      | name-before-justification       | edp1 presents a "akid-absent" certificate | edp1  | name: "nonsense"                                                        | INVALID_ARGUMENT  |
      | justification-before-principal  | edp1 presents a "akid-absent" certificate | edp1  | name: "{edp1.m_requisition}"                                            | INVALID_ARGUMENT  |
      | principal-before-owner          | edp1 presents a "akid-absent" certificate | edp1  | name: "{edp1.m_requisition}" refusal { justification: DECLINED }        | UNAUTHENTICATED   |
      | owner                           | a running Kingdom                         | edp2  | name: "{edp1.m_requisition}" refusal { justification: DECLINED }        | PERMISSION_DENIED |

  @contract-1.7.6 @contract-1.0.12/RefuseRequisition
  Scenario: an unknown justification is refused by the data server, without description
    Given mc1 has a direct reach measurement called m with edp1
    When edp1 calls Requisitions.RefuseRequisition with
      """
      name: "{edp1.m_requisition}" refusal { justification: 77 }
      """
    Then the call fails with INVALID_ARGUMENT
    And the error has no description

  @contract-1.7.7
  Scenario Outline: open siblings are withdrawn, fulfilled ones stay
    Given mc1 has a <protocol> <type> measurement called m with edp1 and edp2
    And mc1.m has reached PENDING_REQUISITION_FULFILLMENT
    And <given>
    When edp1 refuses its requisition of mc1.m with DECLINED
    Then the operator sees edp1's requisition of mc1.m in state REFUSED
    And the operator sees edp2's requisition of mc1.m in state <sibling>

    Examples:
      | case             | protocol | type       | given                                       | sibling   |
      | direct-open      | direct   | impression | a running Kingdom                           | WITHDRAWN |
      | direct-fulfilled | direct   | impression | edp2 has fulfilled its requisition of mc1.m | FULFILLED |
      | llv2-open        | LLv2     | reach      | a running Kingdom                           | WITHDRAWN |
      | hmss-fulfilled   | HMSS     | reach      | edp2 has fulfilled its requisition of mc1.m | FULFILLED |

  @contract-1.7.8
  Scenario Outline: fulfilling: name, nonce, result, principal, owner, id, certificate
    Given mc1 has a direct reach measurement called m with edp1
    And <given>
    When <actor> calls Requisitions.FulfillDirectRequisition with
      """
      <request>
      """
    Then the call fails with <code>

    Examples:
      | case                       | given                                     | actor | request                                                                                        | code              |
      | name-shape                 | edp1 presents a "akid-absent" certificate | edp1  | name: "nonsense" nonce: 1 encrypted_result_ciphertext: "c"                                     | INVALID_ARGUMENT  |
      | zero-nonce                 | edp1 presents a "akid-absent" certificate | edp1  | name: "{edp1.m_requisition}" encrypted_result_ciphertext: "c"                                  | INVALID_ARGUMENT  |
      | result-type-url            | edp1 presents a "akid-absent" certificate | edp1  | name: "{edp1.m_requisition}" nonce: 1 encrypted_result { ciphertext: "c" type_url: "x" }       | INVALID_ARGUMENT  |
      | no-result                  | edp1 presents a "akid-absent" certificate | edp1  | name: "{edp1.m_requisition}" nonce: 1                                                          | INVALID_ARGUMENT  |
      | principal-after-the-fields | edp1 presents a "akid-absent" certificate | edp1  | name: "{edp1.m_requisition}" nonce: 1 encrypted_result_ciphertext: "c"                         | UNAUTHENTICATED   |
      | owner                      | a running Kingdom                         | edp2  | name: "{edp1.m_requisition}" nonce: 1 encrypted_result_ciphertext: "c"                         | PERMISSION_DENIED |
      | owner-before-id            | a running Kingdom                         | edp1  | name: "{edp2}/requisitions/nonsense" nonce: 1 encrypted_result_ciphertext: "c"                 | PERMISSION_DENIED |
      | id-before-certificate      | a running Kingdom                         | edp1  | name: "{edp1}/requisitions/nonsense" nonce: 1 encrypted_result_ciphertext: "c" certificate: "nonsense" | UNKNOWN   |
      | certificate-shape          | a running Kingdom                         | edp1  | name: "{edp1.m_requisition}" nonce: 1 encrypted_result_ciphertext: "c" certificate: "{mc1.certificate}" | INVALID_ARGUMENT |

  @contract-1.7.8 @contract-1.0.12/FulfillDirectRequisition
  Scenario: an empty ciphertext is refused by the data server, without description
    Given mc1 has a direct reach measurement called m with edp1
    When edp1 calls Requisitions.FulfillDirectRequisition with
      """
      name: "{edp1.m_requisition}" nonce: 1
      encrypted_result { type_url: "type.googleapis.com/wfa.measurement.api.v2alpha.SignedMessage" }
      """
    Then the call fails with INVALID_ARGUMENT
    And the error has no description

  @contract-1.7.8
  Scenario Outline: neither the nonce nor the certificate is verified; of the certificate only the id is kept
    Given mc1 has a direct reach measurement called m with edp1
    When edp1 calls Requisitions.FulfillDirectRequisition with
      """
      name: "{edp1.m_requisition}" nonce: 12345 encrypted_result_ciphertext: "c" <certificate>
      """
    Then the call succeeds
    When mc1 calls Measurements.GetMeasurement with
      """
      name: "{mc1.m}"
      """
    Then the response has results[0].certificate: <shown>

    Examples:
      | case       | certificate                                     | shown                           |
      | unset      |                                                 | {edp1.certificate}              |
      | not-there  | certificate: "{edp1}/certificates/AAAAAAAAAZQ"  | {edp1}/certificates/AAAAAAAAAZQ |
      | of-another | certificate: "{edp2}/certificates/AAAAAAAAAZQ"  | {edp1}/certificates/AAAAAAAAAZQ |

  @contract-1.7.9
  Scenario: the response of a direct fulfilment is its state, and the last one makes the measurement succeed
    Given mc1 has a direct impression measurement called m with edp1 and edp2
    When edp1 fulfils its requisition of mc1.m
    Then the response is
      """
      state: FULFILLED
      """
    And mc1 sees its measurement m in state AWAITING_REQUISITION_FULFILLMENT
    When edp2 fulfils its requisition of mc1.m
    Then mc1 sees its measurement m in state SUCCEEDED

  @contract-1.7.9 @contract-1.7.12
  Scenario: context and nonce show after fulfilment
    Given mc1 has a direct reach measurement called m with edp1
    When edp1 calls Requisitions.FulfillDirectRequisition with
      """
      name: "{edp1.m_requisition}" nonce: 12345 encrypted_result_ciphertext: "c"
      fulfillment_context { build_label: "1.2.3" warnings: "odd" }
      """
    And edp1 calls Requisitions.GetRequisition with
      """
      name: "{edp1.m_requisition}"
      """
    Then the response has
      | nonce                           | 12345     |
      | fulfillment_context.build_label | 1.2.3     |
      | fulfillment_context.warnings[0] | odd       |
      | measurement_state               | SUCCEEDED |

  @contract-1.7.9
  Scenario Outline: a direct fulfilment of a computed measurement
    Given the quirk direct-fulfilment-of-any-protocol is <setting>
    And mc1 has an LLv2 reach measurement called m with edp1 and edp2
    And mc1.m has reached PENDING_REQUISITION_FULFILLMENT
    And edp2 has fulfilled its requisition of mc1.m
    When edp1 calls Requisitions.FulfillDirectRequisition with
      """
      name: "{edp1.m_requisition}" nonce: 1 encrypted_result_ciphertext: "c"
      """
    Then the call <outcome>
    And the operator sees mc1.m in state <state>

    Examples:
      | setting       | outcome                        | state                           |
      | faithful      | succeeds                       | SUCCEEDED                       |
      | as-documented | fails with FAILED_PRECONDITION | PENDING_REQUISITION_FULFILLMENT |

  @contract-1.7.9
  Scenario Outline: the last fulfilment through Duchies leads to computing
    Given mc1 has a <protocol> reach measurement called m with edp1 and edp2
    And mc1.m has reached PENDING_REQUISITION_FULFILLMENT
    And edp1 has fulfilled its requisition of mc1.m
    And edp2 has fulfilled its requisition of mc1.m
    Then mc1 sees its measurement m in state COMPUTING
    And the operator sees mc1.m in state <state>

    Examples:
      | protocol | state                            |
      | LLv2     | PENDING_PARTICIPANT_CONFIRMATION |
      | RO-LLv2  | PENDING_PARTICIPANT_CONFIRMATION |
      | HMSS     | PENDING_COMPUTATION              |
      | TrusTEE  | PENDING_COMPUTATION              |

  @contract-1.7.10 @contract-1.0.8
  Scenario: the etag is a weak tag over the update time
    Given mc1 has a direct reach measurement called m with edp1
    When edp1 calls Requisitions.GetRequisition with
      """
      name: "{edp1.m_requisition}"
      """
    Then the response field etag is the weak tag of update_time

  @contract-1.7.10
  Scenario: the right etag is accepted, and none is not checked
    Given mc1 has a direct reach measurement called m with edp1
    When edp1 calls Requisitions.RefuseRequisition with
      """
      name: "{edp1.m_requisition}" refusal { justification: DECLINED } etag: "{edp1.m_requisition_etag}"
      """
    Then the call succeeds

  @contract-1.7.10 @contract-1.0.11/REQUISITION_ETAG_MISMATCH
  Scenario Outline: another etag
    Given the quirk requisition-etag-mismatch-is-unknown is <setting>
    And mc1 has a direct reach measurement called m with edp1
    When edp1 calls Requisitions.<method> with
      """
      name: "{edp1.m_requisition}" etag: "W/\"other\"" <more>
      """
    Then the call fails with <code> and reason REQUISITION_ETAG_MISMATCH
    And the error metadata is
      | requestEtag | W/"other"                  |
      | actualEtag  | {edp1.m_requisition_etag}  |

    Examples:
      | case               | setting       | method                   | more                                      | code    |
      | faithful-refuse    | faithful      | RefuseRequisition        | refusal { justification: DECLINED }       | UNKNOWN |
      | faithful-fulfil    | faithful      | FulfillDirectRequisition | nonce: 1 encrypted_result_ciphertext: "c" | UNKNOWN |
      | documented-refuse  | as-documented | RefuseRequisition        | refusal { justification: DECLINED }       | ABORTED |
      | documented-fulfil  | as-documented | FulfillDirectRequisition | nonce: 1 encrypted_result_ciphertext: "c" | ABORTED |

  @contract-1.7.10 @contract-1.0.5
  Scenario Outline: through a Duchy the mismatch arrives as the data server gives it
    Given the quirk internal-errors-pass-untranslated is <setting>
    And mc1 has an LLv2 reach measurement called m with edp1 and edp2
    And mc1.m has reached PENDING_REQUISITION_FULFILLMENT
    When worker1 calls system Requisitions.FulfillRequisition with
      """
      name: "{edp1.m_computation_requisition}" nonce: 1 etag: "other"
      """
    Then the call fails with ABORTED and reason REQUISITION_ETAG_MISMATCH
    And the error domain is "<domain>"

    Examples:
      | setting       | domain                                    |
      | faithful      | wfa.measurement.internal.kingdom.ErrorCode |
      | as-documented | halo.wfanet.org                           |

  @contract-1.7.10 @contract-1.0.5
  Scenario: so do the states
    Given mc1 has an LLv2 reach measurement called m with edp1 and edp2
    When worker1 calls system Requisitions.FulfillRequisition with
      """
      name: "{edp1.m_computation_requisition}" nonce: 1
      """
    Then the call fails with FAILED_PRECONDITION and reason REQUISITION_STATE_ILLEGAL
    And the error domain is "wfa.measurement.internal.kingdom.ErrorCode"

  @contract-1.7.11
  Scenario: a requisition keeps what it was created with
    Given mc1 has a direct reach measurement called m with edp1
    And edp1 has a new certificate called second
    And edp1 registers its certificate second
    And edp1 has a new encryption key called fresh
    And edp1 has published its encryption key fresh with its certificate second
    And mc1 has a new certificate called second
    And mc1 registers its certificate second
    And mc1 has a new encryption key called fresh
    And mc1 has published its encryption key fresh with its certificate second
    When edp1 calls Requisitions.GetRequisition with
      """
      name: "{edp1.m_requisition}"
      """
    Then the response has
      | data_provider_certificate        | {edp1.certificate} |
      | data_provider_public_key.data    | {edp1.keyset}      |
      | measurement_consumer_certificate | {mc1.certificate}  |
      | encrypted_requisition_spec.ciphertext | 7370656320666f722065647031 |

  @contract-1.7.12
  Scenario: what an open requisition shows
    Given mc1 has a direct reach measurement called m with edp1
    When edp1 calls Requisitions.GetRequisition with
      """
      name: "{edp1.m_requisition}"
      """
    Then the response has
      | name                                                 | {edp1.m_requisition}             |
      | measurement                                          | {mc1.m}                          |
      | measurement_spec.signature_algorithm_oid             | 1.2.840.10045.4.3.2              |
      | measurement_spec.message.reach.privacy_params.epsilon | 0.1                             |
      | encrypted_requisition_spec_ciphertext                | 7370656320666f722065647031       |
      | encrypted_requisition_spec.type_url                  | type.googleapis.com/wfa.measurement.api.v2alpha.SignedMessage |
      | signed_data_provider_public_key.signature            | ""                               |
      | signed_data_provider_public_key.signature_algorithm_oid | ""                            |
      | nonce                                                | 0                                |
      | state                                                | UNFULFILLED                      |
      | refusal                                              | unset                            |
      | fulfillment_context                                  | unset                            |
      | measurement_state                                    | AWAITING_REQUISITION_FULFILLMENT |
    And the response has 0 duchies
    And the response field protocol_config.protocols[0].direct is not "unset"
    And the response field signed_data_provider_public_key.data is not ""

  @contract-1.7.13
  Scenario Outline: how a Duchy is named
    Given the quirk requisition-duchy-key-is-bare-id is <setting>
    And mc1 has an LLv2 reach measurement called m with edp1 and edp2
    And worker1 has set its parameters for mc1.m
    When edp1 calls Requisitions.GetRequisition with
      """
      name: "{edp1.m_requisition}"
      """
    Then the response lists duchies[*].key in this order
      | <key> |
    And the response has
      | duchies[0].value.duchy_certificate                                             | {worker1.certificate}      |
      | duchies[0].value.liquid_legions_v2.el_gamal_public_key.signature               | 7369676e6174757265206f6620776f726b657231 |
      | duchies[0].value.liquid_legions_v2.el_gamal_public_key.signature_algorithm_oid | 1.2.840.10045.4.3.2        |

    Examples:
      | setting       | key             |
      | faithful      | worker1         |
      | as-documented | duchies/worker1 |

  @contract-1.7.13
  Scenario: a requisition of a direct measurement lists no Duchy
    Given mc1 has a direct reach measurement called m with edp1
    When edp1 calls Requisitions.GetRequisition with
      """
      name: "{edp1.m_requisition}"
      """
    Then the response has state: UNFULFILLED
    And the response has 0 duchies

  @contract-1.7.13
  Scenario: of HMSS only the Duchies with a key are listed
    Given mc1 has an HMSS reach measurement called m with edp1 and edp2
    And mc1.m has reached PENDING_REQUISITION_FULFILLMENT
    When edp1 calls Requisitions.GetRequisition with
      """
      name: "{edp1.m_requisition}"
      """
    Then the response lists duchies[*].key in any order
      | worker1 |
      | worker2 |

  @contract-1.7.13
  Scenario: TrusTEE lists one Duchy, with an empty marker
    Given mc1 has a TrusTEE reach measurement called m with edp1 and edp2
    And mc1.m has reached PENDING_REQUISITION_FULFILLMENT
    When edp1 calls Requisitions.GetRequisition with
      """
      name: "{edp1.m_requisition}"
      """
    Then the response lists duchies[*].key in this order
      | aggregator |
    And the response has duchies[0].value.trus_tee: ""

  @contract-1.7.13
  Scenario: of the two HMSS workers only the one that does not fulfil shows its key
    Given mc1 has an HMSS reach measurement called m with edp1 and edp2
    And mc1.m has reached PENDING_REQUISITION_FULFILLMENT
    When operator calls Measurements.StreamMeasurements with
      """
      measurement_view: COMPUTATION
      """
    Then the response field requisitions[0].external_fulfilling_duchy_id is not "aggregator"
    When edp1 calls Requisitions.GetRequisition with
      """
      name: "{edp1.m_requisition}"
      """
    Then exactly 1 of duchies[*].value.honest_majority_share_shuffle.public_key is set
