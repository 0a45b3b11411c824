@compromise
Feature: A TLS leaf, or the key of its root, is stolen
  The Kingdom has no revocation list at its door (2.1), and the state of an API certificate is another
  world (1.6.2): only the removal of the root ends a stolen leaf, and with it every other leaf of that
  root, at the Kingdom and at each Duchy.

  @contract-1.6.2 @contract-2.8 @contract-2.9
  Scenario Outline: a new leaf leaves the stolen one alive, the root's removal ends it
    Given <actor> presents a fresh leaf of its root
    And <actor>'s present leaf works at every door
    Then it is a finding by 2.1 that <actor>'s old leaf still works at the Kingdom
    Given the clock moves forward by 30 minutes
    And <actor> gets a new root
    And the trust bundle includes <actor>'s new root
    And the principal map knows <actor>'s new root
    And <actor> presents a leaf of its new root
    And the trust bundle no longer includes <actor>'s root
    And the principal map no longer knows <actor>'s old root
    And all 2 replicas are restarted
    Then <actor>'s old leaf is dead, and its new one is not, at
      | the Kingdom | unknown_issuer |
    And <actor>'s old root is dead, and its new one is not, at
      | the Kingdom | unknown_issuer |

    Examples:
      | actor          |
      | mc1            |
      | modelprovider1 |

  # What was stolen the second time is the second root: each that was replaced is tried, not the first alone.
  @contract-2.8 @contract-2.9
  Scenario: a root that replaced a stolen one is stolen too
    Given mc1's first leaf works at every door
    And mc1's first root works at every door
    And mc1 gets a new root
    And the trust bundle includes mc1's new root
    And the principal map knows mc1's new root
    And the trust bundle no longer includes mc1's root
    And all 2 replicas are restarted
    And mc1 presents a leaf of its new root
    And mc1's present leaf works at every door
    And mc1's present root works at every door
    And the clock moves forward by 30 minutes
    And mc1 gets a new root
    And the trust bundle includes mc1's new root
    And the principal map knows mc1's new root
    And the trust bundle no longer includes mc1's root
    And all 2 replicas are restarted
    And mc1 presents a leaf of its new root
    Then mc1's old leaf is dead, and its new one is not, at
      | the Kingdom | unknown_issuer |
    And mc1's old root is dead, and its new one is not, at
      | the Kingdom | unknown_issuer |

  # The Kingdom's files reach no Duchy: there the thief goes on until its own files change (5.9.1, 5.10).
  @contract-1.7.15 @contract-1.7.14
  Scenario: a data provider's root is removed at the Kingdom first, and then at each Duchy
    Given edp1's first leaf works at every door
    And edp1's first root works at every door
    And the clock moves forward by 30 minutes
    And edp1 gets a new root
    And the trust bundle includes edp1's new root
    And the principal map knows edp1's new root
    And the trust bundle no longer includes edp1's root
    And all 2 replicas are restarted
    And edp1 presents a leaf of its new root
    Then it is a finding by 5.10 that edp1's old root still works at worker1
    Given the clock moves forward by 2 hours
    And the trust bundle of aggregator includes edp1's new root
    And the principal map of aggregator knows edp1's new root
    And the trust bundle of aggregator no longer includes edp1's root
    And aggregator's server is restarted
    And the trust bundle of worker1 includes edp1's new root
    And the principal map of worker1 knows edp1's new root
    And the trust bundle of worker1 no longer includes edp1's root
    And worker1's server is restarted
    And the trust bundle of worker2 includes edp1's new root
    And the principal map of worker2 knows edp1's new root
    And the trust bundle of worker2 no longer includes edp1's root
    And worker2's server is restarted
    Then edp1's old root is dead, and its new one is not, at
      | the Kingdom | unknown_issuer |
      | aggregator  | unknown_issuer |
      | worker1     | unknown_issuer |
      | worker2     | unknown_issuer |
    And edp1's old leaf is dead, and its new one is not, at
      | the Kingdom | unknown_issuer |
      | aggregator  | unknown_issuer |
      | worker1     | unknown_issuer |
      | worker2     | unknown_issuer |

  @contract-2.4
  Scenario: without the map's entry the stolen leaf passes the door and is nobody
    Given mc1's first leaf works at every door
    And the clock moves forward by 30 minutes
    And mc1 gets a new root
    And the trust bundle includes mc1's new root
    And the principal map knows mc1's new root
    And the principal map no longer knows mc1's old root
    And all 2 replicas are restarted
    And mc1 presents a leaf of its new root
    Then mc1's old leaf is dead, and its new one is not, at
      | the Kingdom | principal_unknown |

  # A certificate is looked at in the handshake, and never again: reading the files anew is not enough.
  @contract-5.5.4
  Scenario: the thief's open connection outlives the root, until the replicas start again
    Given mc1's first leaf works at every door
    And mc1 keeps a connection open
    And the clock moves forward by 30 minutes
    And mc1 gets a new root
    And the trust bundle includes mc1's new root
    And the principal map knows mc1's new root
    And the trust bundle no longer includes mc1's root
    And all 2 replicas are reloaded
    When mc1 reads the certificate mc1.certificate
    Then the call succeeds
    Given all 2 replicas are restarted
    And mc1 presents a leaf of its new root
    Then mc1's old leaf is dead, and its new one is not, at
      | the Kingdom | unknown_issuer |

  # One root per Duchy, the last entry wins (2.10): the day the new one is in force the old one is nobody.
  @contract-2.10
  Scenario: a Duchy's root
    Given worker1's first root works at every door
    And worker1's first leaf works at every door
    And the clock moves forward by 30 minutes
    And worker1 gets a new root
    And the trust bundle includes worker1's new root
    And the principal map knows worker1's new root
    And the Duchy information gains
      """
      duchies {
        duchy_id: "worker1"
        computation_control_service_cert_host: "localhost"
        root_certificate_skid: "{worker1.new_root_skid}"
      }
      """
    And the trust bundle no longer includes worker1's root
    And all 2 replicas are restarted
    And worker1 presents a leaf of its new root
    Then worker1's old root is dead, and its new one is not, at
      | the Kingdom    | unknown_issuer |
      | the system API | unknown_issuer |
    And worker1's old leaf is dead, and its new one is not, at
      | the Kingdom    | unknown_issuer |
      | the system API | unknown_issuer |

  # All who hold a leaf of the root are cut off with the thief (the collateral), and nobody else.
  @contract-2.1 @contract-1.6.2
  Scenario: an emergency without overlap cuts off the owner with the thief, and nobody else
    Given a stopping replica waits 200 ms
    And edp1 gets a new root
    And probes call the Kingdom as edp1 and mc1
    When the probes go on for 300 ms
    And the trust bundle no longer includes edp1's root
    And the trust bundle includes edp1's new root
    And the principal map knows edp1's new root
    And all 2 replicas are restarted
    And the probes go on for 500 ms
    And edp1 presents a leaf of its new root
    And the probing caller edp1 starts again
    And the probes go on for 900 ms
    And the probes stop
    Then mc1 noticed nothing
    And the calls of edp1 ended on its new credential
    And edp1's probes of lanes new_connection, reused_channel and server_stream failed with unknown_issuer
      | from  | all 2 replicas are restarted         |
      | until | edp1 presents a leaf of its new root |
    And the monitor saw at least 3 failures of edp1 with unknown_issuer, and no other
