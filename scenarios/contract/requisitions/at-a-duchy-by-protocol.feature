Feature: Fulfilling a requisition at a Duchy, where the protocol decides

  @contract-1.7.15
  Scenario: as documented, a key identifier that the Duchy's own map does not have is nobody
    Given the quirk duchy-unmapped-akid-is-unknown is as-documented
    And mc1 has an LLv2 reach measurement called m with edp1 and edp2
    And the principal map of worker1 is
      """
      entries { authority_key_identifier: "\x01" principal_resource_name: "{edp1}" }
      """
    And worker1's server is restarted
    When edp1 calls RequisitionFulfillment.FulfillRequisition at worker1 with
      """
      header { name: "{edp1.m_requisition}" nonce: {edp1.m_nonce} }
      """
    Then the call fails with UNAUTHENTICATED

  @contract-1.7.14
  Scenario: a Duchy knows nothing of a direct measurement
    Given mc1 has a direct reach measurement called m with edp1
    When edp1 calls RequisitionFulfillment.FulfillRequisition at worker1 with
      """
      header {
        name: "{edp1.m_requisition}"
        requisition_fingerprint: "{edp1.m_fingerprint}"
        nonce: {edp1.m_nonce}
      }
      """
    Then the call fails with NOT_FOUND
    And the error has no ErrorInfo

  @contract-5.10
  Scenario: a provider's new root is cut off from a Duchy until the Duchy's own files have it
    Given mc1 has an LLv2 reach measurement called m with edp1 and edp2
    And mc1.m has reached PENDING_REQUISITION_FULFILLMENT
    And edp1 gets a new root
    And edp1 presents a leaf of its new root
    When edp1 calls RequisitionFulfillment.FulfillRequisition at worker1 with
      """
      header {
        name: "{edp1.m_requisition}"
        requisition_fingerprint: "{edp1.m_fingerprint}"
        nonce: {edp1.m_nonce}
      }
      """
    Then the connection is refused
    And the server recorded a refused handshake with cause unknown_issuer
    When the trust bundle of worker1 includes edp1's new root
    And the principal map of worker1 gains
      """
      entries { authority_key_identifier: "{edp1.new_root_skid}" principal_resource_name: "{edp1}" }
      """
    And worker1's server is restarted
    And edp1 calls RequisitionFulfillment.FulfillRequisition at worker1 with
      """
      header {
        name: "{edp1.m_requisition}"
        requisition_fingerprint: "{edp1.m_fingerprint}"
        nonce: {edp1.m_nonce}
      }
      """
    Then the call succeeds

  @contract-5.4.1
  Scenario: a Duchy that was cut off from the Kingdom cannot fulfil
    Given mc1 has an LLv2 reach measurement called m with edp1 and edp2
    And mc1.m has reached PENDING_REQUISITION_FULFILLMENT
    And the trust bundle no longer includes worker1's root
    And all 2 replicas are restarted
    When edp1 calls RequisitionFulfillment.FulfillRequisition at worker1 with
      """
      header {
        name: "{edp1.m_requisition}"
        requisition_fingerprint: "{edp1.m_fingerprint}"
        nonce: {edp1.m_nonce}
      }
      """
    Then the call fails with UNAVAILABLE
    And edp1 sees its requisition of mc1.m in state UNFULFILLED

  @contract-1.7.14
  Scenario Outline: HMSS stores the body before it looks at the protocol's header
    Given mc1 has an HMSS reach measurement called m with edp1 and edp2
    And mc1.m has reached PENDING_REQUISITION_FULFILLMENT
    When edp1 calls RequisitionFulfillment.FulfillRequisition at worker1 with
      """
      header {
        name: "{edp1.m_requisition}"
        requisition_fingerprint: "{edp1.m_fingerprint}"
        nonce: {edp1.m_nonce}
        <protocol>
      }
      ---
      body_chunk { data: "shares" }
      """
    Then the call fails with INVALID_ARGUMENT
    And the error has no ErrorInfo
    And worker1 has stored a body of 6 bytes for "{edp1.m_requisition}"
    And edp1 sees its requisition of mc1.m in state UNFULFILLED

    Examples:
      | case           | protocol |
      | no protocol    |          |
      | no seed        | honest_majority_share_shuffle { data_provider_certificate: "{edp1.certificate}" } |
      | no certificate | honest_majority_share_shuffle { secret_seed { ciphertext: "seed" } data_provider_certificate: " " } |
      | another's      | trus_tee { data_format: FREQUENCY_VECTOR } |

  @contract-1.7.14
  Scenario Outline: of HMSS's two workers only the fulfilling one takes a requisition
    Given mc1 has an HMSS reach measurement called m with edp1 and edp2
    And mc1.m has reached PENDING_REQUISITION_FULFILLMENT
    When edp1 calls RequisitionFulfillment.FulfillRequisition at <duchy> with
      """
      header {
        name: "{edp1.m_requisition}"
        requisition_fingerprint: "{edp1.m_fingerprint}"
        nonce: {edp1.m_nonce}
        honest_majority_share_shuffle { secret_seed { ciphertext: "seed" } data_provider_certificate: "{edp1.certificate}" }
      }
      """
    Then the call <outcome>
    And edp1 sees its requisition of mc1.m in state <state>

    Examples:
      | case                  | duchy                     | outcome                     | state       |
      | the aggregator        | aggregator                | fails with INVALID_ARGUMENT | UNFULFILLED |
      | the other worker      | {edp1.m_other_worker}     | fails with INVALID_ARGUMENT | UNFULFILLED |
      | the fulfilling worker | {edp1.m_fulfilling_duchy} | succeeds                    | FULFILLED   |

  @contract-1.7.14
  Scenario Outline: TrusTEE needs a data format that is known and, if encrypted, a key format that is known
    Given mc1 has a TrusTEE reach measurement called m with edp1 and edp2
    And mc1.m has reached PENDING_REQUISITION_FULFILLMENT
    When edp1 calls RequisitionFulfillment.FulfillRequisition at aggregator with
      """
      header {
        name: "{edp1.m_requisition}"
        requisition_fingerprint: "{edp1.m_fingerprint}"
        nonce: {edp1.m_nonce}
        trus_tee { <format> }
      }
      ---
      body_chunk { data: "vector" }
      """
    Then the call fails with INVALID_ARGUMENT
    And aggregator has stored a body of 6 bytes for "{edp1.m_requisition}"

    Examples:
      | case        | format |
      | none        |        |
      | no key      | data_format: ENCRYPTED_FREQUENCY_VECTOR |
      | unknown key | data_format: ENCRYPTED_FREQUENCY_VECTOR envelope_encryption { encrypted_dek { data: "key" } } |

  @contract-1.7.14
  Scenario: a repeated call after a bad protocol header keeps the first body and asks the Kingdom alone
    Given mc1 has a TrusTEE reach measurement called m with edp1 and edp2
    And mc1.m has reached PENDING_REQUISITION_FULFILLMENT
    When edp1 calls RequisitionFulfillment.FulfillRequisition at aggregator with
      """
      header {
        name: "{edp1.m_requisition}"
        requisition_fingerprint: "{edp1.m_fingerprint}"
        nonce: {edp1.m_nonce}
      }
      ---
      body_chunk { data: "first" }
      """
    Then the call fails with INVALID_ARGUMENT
    When edp1 calls RequisitionFulfillment.FulfillRequisition at aggregator with
      """
      header {
        name: "{edp1.m_requisition}"
        requisition_fingerprint: "{edp1.m_fingerprint}"
        nonce: {edp1.m_nonce}
        trus_tee { data_format: FREQUENCY_VECTOR }
      }
      ---
      body_chunk { data: "another body" }
      """
    Then the call succeeds
    And aggregator has stored a body of 5 bytes for "{edp1.m_requisition}"
    And edp1 sees its requisition of mc1.m in state FULFILLED
