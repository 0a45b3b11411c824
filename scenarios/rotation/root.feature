@rotation
Feature: A root is rotated with an overlap: bundle, map and leaf are separate switches

  # The bundle and the map must both know the new root before a leaf of it is presented.
  @contract-5.9.1 @contract-2.8 @contract-2.9
  Scenario Outline: a data provider's root in an order that works
    Given a stopping replica waits 200 ms
    And edp1 gets a new root
    And probes call the Kingdom as edp1 and mc1
    When the probes go on for 300 ms
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
    When the probes go on for 300 ms
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
    Then mc1 noticed nothing
    And the calls of edp1 ended on its new credential
    And edp1's probes of lanes <lanes> failed with <causes>
      | from  | edp1 presents a leaf of its new root |
      | until | all 2 replicas are restarted         |

    Examples:
      | order           | first                                     | second                                    | third                                     | causes                           | lanes |
      | bundle-leaf-map | the trust bundle includes edp1's new root | edp1 presents a leaf of its new root      | the principal map knows edp1's new root   | principal_unknown                | new_connection and reused_channel |
      | map-leaf-bundle | the principal map knows edp1's new root   | edp1 presents a leaf of its new root      | the trust bundle includes edp1's new root | unknown_issuer                   | new_connection, reused_channel and server_stream |
      | leaf-bundle-map | edp1 presents a leaf of its new root      | the trust bundle includes edp1's new root | the principal map knows edp1's new root   | principal_unknown, unknown_issuer | new_connection, reused_channel and server_stream |
      | leaf-map-bundle | edp1 presents a leaf of its new root      | the principal map knows edp1's new root   | the trust bundle includes edp1's new root | unknown_issuer                   | new_connection, reused_channel and server_stream |

  # The same for a consumer. Its root also stands in the bundles of data providers; see below.
  @contract-5.9.3 @contract-2.8 @contract-2.9
  Scenario Outline: a measurement consumer's root in an order that works
    Given a stopping replica waits 200 ms
    And mc1 gets a new root
    And probes call the Kingdom as edp1 and mc1
    When the probes go on for 300 ms
    And <first>
    And all 2 replicas are restarted
    And the probes go on for 200 ms
    And <second>
    And all 2 replicas are restarted
    And the probes go on for 200 ms
    And <third>
    And the probes go on for 200 ms
    And the probing caller mc1 starts again
    And the probes go on for 500 ms
    And the probes stop
    Then nobody noticed
    And the calls of mc1 ended on its new credential

    Examples:
      | order           | first                                   | second                                  | third                               |
      | bundle-map-leaf | the trust bundle includes mc1's new root | the principal map knows mc1's new root | mc1 presents a leaf of its new root |
      | map-bundle-leaf | the principal map knows mc1's new root | the trust bundle includes mc1's new root | mc1 presents a leaf of its new root |

  @contract-5.9.3 @contract-2.1 @contract-2.4
  Scenario Outline: a measurement consumer's root in an order that does not work
    Given a stopping replica waits 200 ms
    And mc1 gets a new root
    And probes call the Kingdom as edp1 and mc1
    When the probes go on for 300 ms
    And <first>
    And all 2 replicas are restarted
    And the probes go on for 200 ms
    And <second>
    And all 2 replicas are restarted
    And the probes go on for 300 ms
    And <third>
    And all 2 replicas are restarted
    And the probes go on for 500 ms
    And the probes stop
    Then edp1 noticed nothing
    And the calls of mc1 ended on its new credential
    And mc1's probes of lanes <lanes> failed with <causes>
      | from  | mc1 presents a leaf of its new root |
      | until | all 2 replicas are restarted        |

    Examples:
      | order           | first                                     | second                                    | third                                     | causes                           | lanes |
      | bundle-leaf-map | the trust bundle includes mc1's new root | mc1 presents a leaf of its new root      | the principal map knows mc1's new root   | principal_unknown                | new_connection and reused_channel |
      | map-leaf-bundle | the principal map knows mc1's new root   | mc1 presents a leaf of its new root      | the trust bundle includes mc1's new root | unknown_issuer                   | new_connection, reused_channel and server_stream |
      | leaf-bundle-map | mc1 presents a leaf of its new root      | the trust bundle includes mc1's new root | the principal map knows mc1's new root   | principal_unknown, unknown_issuer | new_connection, reused_channel and server_stream |
      | leaf-map-bundle | mc1 presents a leaf of its new root      | the principal map knows mc1's new root   | the trust bundle includes mc1's new root | unknown_issuer                   | new_connection, reused_channel and server_stream |

  # The rule: a new connection works if the bundle has the root of the leaf that is presented (else
  # unknown_issuer), and the map knows that root (else principal_unknown). So of the 30 orders with
  # the removals just those work in which the leaf changes after both additions and before both
  # removals: 4.
  @contract-5.9.1 @contract-5.9.3 @contract-2.4
  Scenario Outline: a root in each of the 30 orders of bundle, map and leaf, old root removed
    Given <actor> gets a new root
    When <actor>'s root goes through every order of bundle, map and leaf
    Then each of the 30 orders cuts off whom the rule says, and 4 cut off nobody

    Examples:
      | actor |
      | edp1  |
      | mc1   |

  @contract-5.9.4
  Scenario: the Kingdom's root, with clients that trust both in time
    Given a stopping replica waits 200 ms
    And the Kingdom gets a new root
    And probes call the Kingdom as edp1 and mc1
    When the probes go on for 300 ms
    And edp1 trusts the Kingdom's old and new roots
    And mc1 trusts the Kingdom's old and new roots
    And the probes go on for 200 ms
    And a call of each probing caller is held for 150 ms
    And the Kingdom gets a new certificate of its new root
    And all 2 replicas are restarted
    And the probes go on for 800 ms
    And the probes stop
    Then nobody noticed
    And each held call was answered
    And every replica answers with the Kingdom's new certificate

  @contract-5.9.4
  Scenario: a client that does not trust the Kingdom's new root in time is cut off, and it alone
    Given a stopping replica waits 200 ms
    And the Kingdom gets a new root
    And probes call the Kingdom as edp1 and mc1
    When the probes go on for 300 ms
    And mc1 trusts the Kingdom's old and new roots
    And the Kingdom gets a new certificate of its new root
    And all 2 replicas are restarted
    And the probes go on for 1200 ms
    And the probes stop
    Then mc1 noticed nothing
    And every replica answers with the Kingdom's new certificate
    And edp1's probes of lanes new_connection, reused_channel and server_stream failed with unknown_issuer to the end
      | from | all 2 replicas are restarted |

  # A Duchy has a bundle and a map of its own: without them the provider is cut off there, whatever the
  # Kingdom's say (5.10).
  @contract-5.9.1 @contract-1.7.15 @contract-1.7.14
  Scenario: a data provider's root reaches the Duchies too
    Given a stopping replica waits 200 ms
    And mc1 has an LLv2 reach measurement called m with edp1 and edp2
    And mc1.m has reached PENDING_REQUISITION_FULFILLMENT
    And edp1 gets a new root
    And probes call the Kingdom as edp1 and mc1
    When the probes go on for 300 ms
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

  # A data provider verifies a consumer's signature with its own bundle (3.10 row 3), which nobody's
  # TLS needs: a consumer that signs under its new root before is refused, and only there.
  @contract-5.9.3 @contract-3.10/3
  Scenario: a measurement consumer's root reaches the data providers too
    Given a stopping replica waits 200 ms
    And mc1 gets a new root
    And mc1 has a new certificate called second of its new root
    And probes call the Kingdom 100 times a second as mc1
    And the trust bundle includes mc1's new root
    And the principal map knows mc1's new root
    When the probes go on for 300 ms
    And mc1 creates 1 reach measurement called before with edp1
    And all 2 replicas are restarted
    And mc1 presents a leaf of its new root
    And the probing caller mc1 starts again
    And edp1's own trust bundle includes mc1's new root
    And mc1 registers its certificate second
    And mc1 signs with its certificate second
    And mc1 creates 2 reach measurements called after with edp1
    And edp1 handles its requisitions
    And the probes go on for 300 ms
    And the probes stop
    Then nobody noticed
    And the measurements of mc1 are exactly
      | mc1.before1 | SUCCEEDED |
      | mc1.after1  | SUCCEEDED |
      | mc1.after2  | SUCCEEDED |

  @contract-5.9.3 @contract-3.10/3
  Scenario: a measurement consumer that signs under a root that the provider does not have is refused
    Given mc1 gets a new root
    And mc1 has a new certificate called second of its new root
    And probes call the Kingdom 100 times a second as mc1
    When the probes go on for 300 ms
    And mc1 creates 1 reach measurement called before with edp1
    And mc1 presents a fresh leaf of its root
    And mc1 registers its certificate second
    And mc1 signs with its certificate second
    And mc1 creates 2 reach measurements called after with edp1
    And edp1 handles its requisitions
    And the probes go on for 300 ms
    And the probes stop
    Then nobody noticed
    And the measurements of mc1 are exactly
      | mc1.before1 | SUCCEEDED                  |
      | mc1.after1  | FAILED REQUISITION_REFUSED |
      | mc1.after2  | FAILED REQUISITION_REFUSED |

  # A refused try counts only beside the same call on the new credential succeeding: else the caller may
  # be cut off altogether.
  @contract-5.9.1 @contract-2.1
  Scenario: when the old root is retired, the old leaf is dead and the new one lives
    Given a stopping replica waits 200 ms
    And edp1 gets a new root
    And the trust bundle includes edp1's new root
    And the principal map knows edp1's new root
    And all 2 replicas are restarted
    And probes call the Kingdom 100 times a second as edp1
    When the probes go on for 300 ms
    And edp1 presents a leaf of its new root
    And the probing caller edp1 starts again
    And the probes go on for 200 ms
    And the trust bundle no longer includes edp1's root
    And all 2 replicas are restarted
    And the probes go on for 200 ms
    And the probes stop
    Then edp1's first leaf is refused with unknown_issuer where its present one is accepted
    And nobody noticed
