Feature: Fulfilling a requisition at a Duchy

  Background:
    Given mc1 has an LLv2 reach measurement called m with edp1 and edp2
    And mc1.m has reached PENDING_REQUISITION_FULFILLMENT

  @contract-1.7.14 @contract-3.12.1
  Scenario: a provider streams its data to a Duchy, which tells the Kingdom
    When edp1 calls RequisitionFulfillment.FulfillRequisition at worker1 with
      """
      header {
        name: "{edp1.m_requisition}"
        requisition_fingerprint: "{edp1.m_fingerprint}"
        nonce: {edp1.m_nonce}
      }
      ---
      body_chunk { data: "sketch" }
      ---
      body_chunk { data: "tail" }
      """
    Then the call succeeds
    And the response has state: FULFILLED
    And worker1 has stored a body of 10 bytes for "{edp1.m_requisition}"
    And edp1 sees its requisition of mc1.m in state FULFILLED

  @contract-1.7.14
  Scenario: an empty stream is refused
    When edp1 calls RequisitionFulfillment.FulfillRequisition at worker1 with
      """
      nothing
      """
    Then the call fails with INVALID_ARGUMENT

  @contract-1.7.14
  Scenario Outline: what the header says is checked before the body is stored
    When edp1 calls RequisitionFulfillment.FulfillRequisition at worker1 with
      """
      header {
        name: "<name>"
        requisition_fingerprint: "<fingerprint>"
        nonce: <nonce>
      }
      ---
      body_chunk { data: "sketch" }
      """
    Then the call fails with <code>
    And the error has no ErrorInfo
    And worker1 has stored nothing for "{edp1.m_requisition}"

    Examples:
      | what                  | name                 | fingerprint        | nonce          | code                |
      | bad name              | requisitions/1       | {edp1.m_fingerprint} | {edp1.m_nonce} | INVALID_ARGUMENT    |
      | another's requisition | {edp2.m_requisition} | {edp2.m_fingerprint} | {edp2.m_nonce} | PERMISSION_DENIED   |
      | missing               | {edp1}/requisitions/AAAAAAAAAZQ | {edp1.m_fingerprint} | {edp1.m_nonce} | NOT_FOUND |

    @contract-3.8.1
    Examples:
      | what                  | name                 | fingerprint        | nonce          | code                |
      | no nonce              | {edp1.m_requisition} | {edp1.m_fingerprint} | 0              | INVALID_ARGUMENT    |

    @contract-3.12.2
    Examples:
      | what                  | name                 | fingerprint        | nonce          | code                |
      | another fingerprint   | {edp1.m_requisition} | {edp2.m_fingerprint} | {edp1.m_nonce} | NOT_FOUND           |
      | wrong nonce           | {edp1.m_requisition} | {edp1.m_fingerprint} | 12345          | FAILED_PRECONDITION |
      | another's nonce       | {edp1.m_requisition} | {edp1.m_fingerprint} | {edp2.m_nonce} | FAILED_PRECONDITION |

  @contract-1.7.14
  Scenario: a first message without a header is a bad name
    When edp1 calls RequisitionFulfillment.FulfillRequisition at worker1 with
      """
      body_chunk { data: "sketch" }
      """
    Then the call fails with INVALID_ARGUMENT

  @contract-1.7.10
  Scenario: a stale etag is ABORTED on this way, in the internal domain
    When edp1 calls RequisitionFulfillment.FulfillRequisition at worker1 with
      """
      header {
        name: "{edp1.m_requisition}"
        requisition_fingerprint: "{edp1.m_fingerprint}"
        nonce: {edp1.m_nonce}
        etag: "stale"
      }
      """
    Then the call fails with ABORTED and reason REQUISITION_ETAG_MISMATCH
    And the error domain is "wfa.measurement.internal.kingdom.ErrorCode"

  @contract-1.7.10 @contract-1.7.14
  Scenario: fulfilling again repeats the call to the Kingdom and keeps the first body
    When edp1 calls RequisitionFulfillment.FulfillRequisition at worker1 with
      """
      header {
        name: "{edp1.m_requisition}"
        requisition_fingerprint: "{edp1.m_fingerprint}"
        nonce: {edp1.m_nonce}
      }
      ---
      body_chunk { data: "first" }
      """
    Then the call succeeds
    When edp1 calls RequisitionFulfillment.FulfillRequisition at worker1 with
      """
      header {
        name: "{edp1.m_requisition}"
        requisition_fingerprint: "{edp1.m_fingerprint}"
        nonce: {edp1.m_nonce}
      }
      ---
      body_chunk { data: "another body" }
      """
    Then the call fails with FAILED_PRECONDITION and reason REQUISITION_STATE_ILLEGAL
    And the error domain is "wfa.measurement.internal.kingdom.ErrorCode"
    And worker1 has stored a body of 5 bytes for "{edp1.m_requisition}"

  @contract-1.7.15
  Scenario: a caller without authority key identifier is nobody, after name and nonce
    Given edp1 presents a "akid-absent" certificate
    When edp1 calls RequisitionFulfillment.FulfillRequisition at worker1 with
      """
      header { name: "{edp1.m_requisition}" }
      """
    Then the call fails with INVALID_ARGUMENT
    When edp1 calls RequisitionFulfillment.FulfillRequisition at worker1 with
      """
      header { name: "{edp1.m_requisition}" nonce: {edp1.m_nonce} }
      """
    Then the call fails with UNAUTHENTICATED
    And the server recorded a refused call with cause akid_missing

  @contract-1.7.15
  Scenario Outline: a principal that is not the owner is denied
    When <actor> calls RequisitionFulfillment.FulfillRequisition at worker1 with
      """
      header { name: "{edp1.m_requisition}" nonce: {edp1.m_nonce} }
      """
    Then the call fails with PERMISSION_DENIED

    Examples:
      | actor |
      | edp2  |
      | mc1   |

  @contract-1.7.15
  Scenario: a key identifier that the Duchy's own map does not have is UNKNOWN
    Given the principal map of worker1 is
      """
      entries { authority_key_identifier: "\x01" principal_resource_name: "{edp1}" }
      """
    And worker1's server is restarted
    When edp1 calls RequisitionFulfillment.FulfillRequisition at worker1 with
      """
      header {
        name: "{edp1.m_requisition}"
        requisition_fingerprint: "{edp1.m_fingerprint}"
        nonce: {edp1.m_nonce}
      }
      """
    Then the call fails with UNKNOWN
    And the error has no description
    And the server recorded a refused call with cause principal_unknown
    When edp1 calls DataProviders.GetDataProvider with
      """
      name: "{edp1}"
      """
    Then the call succeeds
