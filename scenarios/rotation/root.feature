@rotation
Feature: A root is rotated with an overlap: bundle, map and leaf are separate switches

  # The bundle and the map must both know the new root before a leaf of it is presented.
  @contract-5.9.1 @contract-2.8 @contract-2.9
  Scenario Outline: a data provider's root in an order that works
    Given a stopping replica waits 200 ms
    And edp1 gets a new root
    And probes call the Kingdom as edp1 and mc1
    When the probes go on for 200 ms
    And <first>
    And all 2 replicas are restarted
    And the probes go on for 200 ms
    And <second>
    And all 2 replicas are restarted
    And the probes go on for 200 ms
    And <third>
    And the probes go on for 200 ms
    And the probing caller edp1 starts again
    And the probes go on for 800 ms
    And the probes stop
    Then nobody noticed
    And the calls of edp1 ended on its new credential

    Examples:
      | order           | first                                   | second                                  | third                               |
      | bundle-map-leaf | the trust bundle includes edp1's new root | the principal map knows edp1's new root | edp1 presents a leaf of its new root |
      | map-bundle-leaf | the principal map knows edp1's new root | the trust bundle includes edp1's new root | edp1 presents a leaf of its new root |

  @contract-5.9.1 @contract-2.1 @contract-2.4
  Scenario Outline: a data provider's root in an order that does not work
    Given a stopping replica waits 200 ms
    And edp1 gets a new root
    And probes call the Kingdom as edp1 and mc1
    When the probes go on for 200 ms
    And <first>
    And all 2 replicas are restarted
    And the probes go on for 200 ms
    And <second>
    And all 2 replicas are restarted
    And the probes go on for 300 ms
    And <third>
    And all 2 replicas are restarted
    And the probes go on for 800 ms
    And the probes stop
    Then edp1's probes of lane new_connection failed with <causes>
    And mc1 noticed nothing
    And the calls of edp1 ended on its new credential

    Examples:
      | order           | first                                     | second                                    | third                                     | causes                           |
      | bundle-leaf-map | the trust bundle includes edp1's new root | edp1 presents a leaf of its new root      | the principal map knows edp1's new root   | principal_unknown                |
      | map-leaf-bundle | the principal map knows edp1's new root   | edp1 presents a leaf of its new root      | the trust bundle includes edp1's new root | unknown_issuer                   |
      | leaf-bundle-map | edp1 presents a leaf of its new root      | the trust bundle includes edp1's new root | the principal map knows edp1's new root   | principal_unknown, unknown_issuer |
      | leaf-map-bundle | edp1 presents a leaf of its new root      | the principal map knows edp1's new root   | the trust bundle includes edp1's new root | unknown_issuer                   |

  @contract-5.9.4
  Scenario: the Kingdom's root, with clients that trust both in time
    Given a stopping replica waits 200 ms
    And the Kingdom gets a new root
    And probes call the Kingdom as edp1 and mc1
    When the probes go on for 200 ms
    And edp1 trusts the Kingdom's old and new roots
    And mc1 trusts the Kingdom's old and new roots
    And the probes go on for 200 ms
    And the Kingdom gets a new certificate of its new root
    And all 2 replicas are restarted
    And the probes go on for 800 ms
    And the probes stop
    Then nobody noticed
    And every replica answers with the Kingdom's new certificate

  @contract-5.9.4
  Scenario: a client that does not trust the Kingdom's new root in time is cut off, and it alone
    Given a stopping replica waits 200 ms
    And the Kingdom gets a new root
    And probes call the Kingdom as edp1 and mc1
    When the probes go on for 200 ms
    And mc1 trusts the Kingdom's old and new roots
    And the Kingdom gets a new certificate of its new root
    And all 2 replicas are restarted
    And the probes go on for 800 ms
    And the probes stop
    Then edp1's probes of lane new_connection failed with unknown_issuer
    And mc1 noticed nothing
    And every replica answers with the Kingdom's new certificate

  # A Duchy has a bundle and a map of its own: without them the provider is cut off there, whatever the
  # Kingdom's say (5.10).
  @contract-5.9.1 @contract-1.7.15 @contract-1.7.14
  Scenario: a data provider's root reaches the Duchies too
    Given a stopping replica waits 200 ms
    And mc1 has an LLv2 reach measurement called m with edp1 and edp2
    And mc1.m has reached PENDING_REQUISITION_FULFILLMENT
    And edp1 gets a new root
    And probes call the Kingdom as edp1 and mc1
    When the probes go on for 200 ms
    And the trust bundle includes edp1's new root
    And the principal map knows edp1's new root
    And all 2 replicas are restarted
    And the trust bundle of worker1 includes edp1's new root
    And the principal map of worker1 knows edp1's new root
    And worker1's server is restarted
    And edp1 presents a leaf of its new root
    And the probing caller edp1 starts again
    And the probes go on for 300 ms
    And the probes stop
    And edp1 calls RequisitionFulfillment.FulfillRequisition at worker1 with
      """
      header {
        name: "{edp1.m_requisition}"
        requisition_fingerprint: "{edp1.m_fingerprint}"
        nonce: {edp1.m_nonce}
      }
      """
    Then the call succeeds
    And nobody noticed
    And the calls of edp1 ended on its new credential
