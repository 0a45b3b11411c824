Feature: A rotation goes through prepare, distribute, switch, drain and retire, each behind a gate

  # A gate opens on what was observed at every peer, never on a timer. Who lags behind keeps it shut.

  @rotation @contract-5.4.2 @contract-5.5.4
  Scenario: the Kingdom's leaf, phase by phase
    Given a stopping replica waits 300 ms
    And probes call the Kingdom as edp1 and mc1
    And a procedure rotates the Kingdom's leaf, with the peers edp1 and mc1
    When the phase prepare is done
    And the phase distribute is done
    And the phase switch is done
    And the phase drain is done
    And the phase retire is done
    And the probes go on for 300 ms
    And the probes stop
    Then nobody noticed
    And every replica answers with the Kingdom's new certificate
    And the phases that are done are prepare, distribute, switch, drain, retire
    And the audit trail has 5 entries with action "rotation_phase"

  @rotation @contract-5.9.4
  Scenario: the Kingdom's root, phase by phase
    Given a stopping replica waits 300 ms
    And probes call the Kingdom as edp1 and mc1
    And a procedure rotates the Kingdom's root, with the peers edp1 and mc1
    When the phases up to retire are done
    And the probes go on for 300 ms
    And the probes stop
    Then nobody noticed
    And every replica answers with the Kingdom's new certificate
    And no server or caller trusts the root that the procedure replaced

  # Retire is done when nobody takes the old leaf any more: here it comes back, and everybody refuses it.
  @rotation @contract-5.9.4
  Scenario: the Kingdom's root, and its old leaf is refused by everybody once it is retired
    Given a stopping replica waits 300 ms
    And probes call the Kingdom as edp1 and mc1
    And a procedure rotates the Kingdom's root, with the peers edp1 and mc1
    When the phases up to retire are done
    And the probes go on for 300 ms
    And the Kingdom gets its first certificate back
    And all 2 replicas are restarted
    And the probes go on for 400 ms
    And the probes stop
    Then the probes of lanes new_connection, reused_channel and server_stream failed with unknown_issuer to the end
      | from | all 2 replicas are restarted |

  @rotation @contract-5.9.1 @contract-5.10
  Scenario: a data provider's root, phase by phase
    Given a stopping replica waits 300 ms
    And probes call the Kingdom as edp1 and mc1
    And a procedure rotates edp1's root, with the peers edp1 and mc1
    When the phases up to retire are done
    And the probes go on for 300 ms
    And the probes stop
    Then nobody noticed
    And the calls of edp1 ended on its new credential
    And the calls of mc1 ended on its old credential
    And no server or caller trusts the root that the procedure replaced
    And the audit trail has 5 entries with action "rotation_phase"

  @rotation
  Scenario: a data provider's leaf, phase by phase
    Given probes call the Kingdom as edp1 and mc1
    And a procedure rotates edp1's leaf, with the peers edp1 and mc1
    When the phases up to retire are done
    And the probes go on for 300 ms
    And the probes stop
    Then nobody noticed
    And the calls of edp1 ended on its new credential

  # One peer lags, gate by gate. The gate stays shut until the peer catches up.

  Scenario: prepare waits for a replica that is down
    Given a stopping replica waits 300 ms
    And probes call the Kingdom as edp1
    And a procedure rotates the Kingdom's leaf, with the peer edp1
    When replica 1 is stopped
    Then the gate of prepare stays shut for 300 ms because "replica 1 does not run"
    When replica 1 is started
    Then the gate of prepare opens within 1000 ms

  Scenario: distribute waits for a peer that has not been seen
    Given probes call the Kingdom as edp1
    And a procedure rotates the Kingdom's leaf, with the peers edp1 and mc1
    When the phase prepare is done
    Then the gate of distribute stays shut for 300 ms because "mc1 has not been seen"
    When the probes stop
    And probes call the Kingdom as edp1 and mc1
    And the probes go on for 700 ms
    Then the gate of distribute opens within 1000 ms

  # Evidence is of this procedure: what the prober saw before it began says nothing of it. A new
  # connection is opened every 500 ms.
  Scenario: distribute waits for a peer that was seen only before the procedure began
    Given probes call the Kingdom 40 times a second as edp1
    And the probes go on for 1100 ms
    And a procedure rotates the Kingdom's leaf, with the peer edp1
    When the phase prepare is done
    Then the gate of distribute stays shut for 150 ms because "edp1 has not been seen"
    And the gate of distribute opens within 1000 ms
    When the probes go on for 300 ms
    And the probes stop
    Then nobody noticed

  @rotation @contract-5.9.4
  Scenario: switch waits for a client that does not trust the Kingdom's new root
    Given a stopping replica waits 300 ms
    And probes call the Kingdom as edp1 and mc1
    And a procedure rotates the Kingdom's root, with the peers edp1 and mc1
    When mc1 lags behind
    And the phases up to distribute are done
    Then the gate of switch stays shut for 300 ms because "mc1 has not been seen to trust the new root"
    When mc1 catches up
    And the phases up to retire are done
    And the probes go on for 300 ms
    And the probes stop
    Then nobody noticed
    And every replica answers with the Kingdom's new certificate

  # The caller that nobody thought of is the one that a switch would cut off.
  @rotation @contract-5.9.4
  Scenario: switch waits for a client that calls and that nobody named as a peer
    Given a stopping replica waits 300 ms
    And probes call the Kingdom as edp1 and mc1
    And a procedure rotates the Kingdom's root, with the peer edp1
    When the phases up to distribute are done
    Then the gate of switch stays shut for 300 ms because "mc1 has not been seen to trust the new root"
    When mc1 trusts the Kingdom's old and new roots
    And the probes go on for 100 ms
    And the phases up to drain are done
    And the probes go on for 300 ms
    And the probes stop
    Then nobody noticed
    And every replica answers with the Kingdom's new certificate

  # What a client was seen to trust is no evidence any more once its files are others, or its new
  # connections fail.
  @contract-5.9.4
  Scenario: switch waits for a client whose files were changed since it was seen
    Given a stopping replica waits 300 ms
    And probes call the Kingdom 100 times a second as edp1 and mc1
    And a procedure rotates the Kingdom's root, with the peers edp1 and mc1
    When the phases up to distribute are done
    Then the gate of switch opens within 1000 ms
    When mc1 trusts the Kingdom's old root
    And the probes go on for 10 ms
    Then the gate of switch stays shut for 500 ms because "mc1 has not been seen to trust the new root"
    When the probes go on for 500 ms
    And the probes stop
    Then nobody noticed

  @contract-5.9.4
  Scenario: switch waits for a client whose new connections fail
    Given a stopping replica waits 300 ms
    And messages of edp1 take 0 ms each way
    And probes call the Kingdom as edp1 and mc1
    And a procedure rotates the Kingdom's root, with the peers edp1 and mc1
    When the phases up to distribute are done
    Then the gate of switch opens within 1000 ms
    When what edp1 is sent does not arrive
    And the probes go on for 1500 ms
    Then the gate of switch stays shut for 300 ms because "edp1 has not been seen to trust the new root"
    When the network of edp1 works again
    And the probing caller edp1 starts again
    Then the gate of switch opens within 1000 ms
    When the probes go on for 800 ms
    And the probes stop
    Then mc1 noticed nothing
    And edp1's probes of lanes new_connection, reused_channel and server_stream failed with timeout
      | from  | what edp1 is sent does not arrive |
      | until | the network of edp1 works again   |

  @rotation @contract-5.9.1 @contract-5.10
  Scenario: switch waits for a Duchy that does not know a data provider's new root
    Given a stopping replica waits 300 ms
    And probes call the Kingdom as edp1 and mc1
    And a procedure rotates edp1's root, with the peers edp1 and mc1
    When worker1 lags behind
    And the phases up to distribute are done
    Then the gate of switch stays shut for 300 ms because "worker1 does not trust the new root; worker1 does not map the new root"
    When worker1 catches up
    And the phases up to drain are done
    And the probes go on for 300 ms
    And the probes stop
    Then nobody noticed
    And the calls of edp1 ended on its new credential

  @rotation @contract-5.4.2
  Scenario: drain waits for a replica that was not restarted
    Given a stopping replica waits 300 ms
    And probes call the Kingdom as edp1 and mc1
    And a procedure rotates the Kingdom's leaf, with the peers edp1 and mc1
    When replica 1 lags behind
    And the phases up to switch are done
    Then the gate of drain stays shut for 300 ms because "replica 1 has not been seen to answer with the new leaf"
    When replica 1 catches up
    And the phases up to retire are done
    And the probes go on for 300 ms
    And the probes stop
    Then nobody noticed
    And every replica answers with the Kingdom's new certificate

  # What counts is the newest connection that each replica answered, not that it once was on the new leaf.
  @contract-5.5.4
  Scenario: drain waits for a provider that went back to its old leaf
    Given probes call the Kingdom as edp1
    And a procedure rotates edp1's leaf, with the peer edp1
    When the phases up to switch are done
    Then the gate of drain opens within 1000 ms
    When edp1 presents its first leaf again
    And the probing caller edp1 starts again
    And the probes go on for 600 ms
    Then the gate of drain stays shut for 300 ms because "replica 0 has not been seen to answer edp1's new leaf; replica 1 has not been seen to answer edp1's new leaf"

  @rotation @contract-5.5.4
  Scenario: retire waits for the caller whose open connections live on its old leaf
    Given a stopping replica waits 300 ms
    And probes call the Kingdom as edp1
    And a procedure rotates edp1's root, with the peer edp1
    When the phases up to switch are done
    And edp1 lags behind
    And the phase drain is done
    Then the gate of retire stays shut for 300 ms because "open connections of edp1 live on the old credential"
    When edp1 catches up
    And the phase retire is done
    And the probes go on for 300 ms
    And the probes stop
    Then nobody noticed
    And the calls of edp1 ended on its new credential

  # Between two calls no connection on the old leaf is open, and it is in use all the same. What the
  # provider did on it counts as long as it has not switched and drained again.
  @rotation @contract-5.5.4
  Scenario: retire waits for a provider that opens new connections on its old leaf
    Given a stopping replica waits 300 ms
    And probes call the Kingdom as edp1
    And a procedure rotates edp1's root, with the peer edp1
    When the phases up to drain are done
    And the probes go on for 200 ms
    And edp1 presents its first leaf again
    And the probes go on for 400 ms
    Then the gate of retire stays shut for 1000 ms because "edp1 has opened connections on the old credential since the drain began"
    When edp1 lags behind
    And edp1 catches up
    And the phase retire is done
    And the probes go on for 300 ms
    And the probes stop
    Then nobody noticed
    And the calls of edp1 ended on its new credential

  # Nothing but the gate: the old leaf is in force at one replica only.
  @contract-5.4.2
  Scenario: retire waits for a replica that shows the old leaf again
    Given a stopping replica waits 300 ms
    And probes call the Kingdom as edp1 and mc1
    And a procedure rotates the Kingdom's leaf, with the peers edp1 and mc1
    When the phases up to drain are done
    And the Kingdom gets its first certificate back
    And replica 1 is restarted
    And the probes go on for 400 ms
    Then the gate of retire stays shut for 300 ms because "replica 1 still shows the old leaf on new connections"

  # A connection keeps the credential of its handshake until it closes: which, and for how long, is in
  # the record.
  @rotation @contract-5.5.4
  Scenario: an open channel outlives its old leaf, is named with how long, and keeps retire shut
    Given a stopping replica waits 300 ms
    And probes call the Kingdom 100 times a second as edp1
    And a procedure rotates edp1's root, with the peer edp1
    When the phases up to switch are done
    And edp1 lags behind
    And the phase drain is done
    And the probes go on for 700 ms
    Then the gate of retire stays shut for 100 ms because "open connections of edp1 live on the old credential"
    When edp1 catches up
    And the phase retire is done
    And the probes go on for 300 ms
    And the probes stop
    Then open connections of edp1 outlived its old credential by at least 650 ms
    And no open connection of edp1 outlived its old credential by more than 2500 ms
    And nobody noticed

  # Order and insistence.

  Scenario Outline: a phase out of order is refused
    Given a stopping replica waits 300 ms
    And probes call the Kingdom as edp1
    And a procedure rotates the Kingdom's leaf, with the peer edp1
    And the probes go on for 400 ms
    When the phases up to <done> are done
    Then the phase <phase> is refused because "<why>"
    And the phases that are done are <all>

    Examples:
      | case                    | done       | phase      | why                    | all                 |
      | distribute twice        | distribute | distribute | it is done already     | prepare, distribute |
      | switch after prepare    | prepare    | switch     | distribute is not done | prepare             |
      | drain after prepare     | prepare    | drain      | distribute is not done | prepare             |
      | retire after distribute | distribute | retire     | switch is not done     | prepare, distribute |

  @rotation @contract-5.9.4
  Scenario: a switch that is forced past its gate cuts off the client that lags, and it alone
    Given a stopping replica waits 300 ms
    And probes call the Kingdom as edp1 and mc1
    And a procedure rotates the Kingdom's root, with the peers edp1 and mc1
    When mc1 lags behind
    And the phases up to distribute are done
    And the phase switch is forced
    And the probes go on for 700 ms
    And the probes stop
    Then edp1 noticed nothing
    And mc1's probes of lanes new_connection, reused_channel and server_stream failed with unknown_issuer to the end
      | from | the phase switch is forced |

  # The way back, from every phase and from the middle of one.

  Scenario Outline: the Kingdom's leaf, rolled back
    Given a stopping replica waits 300 ms
    And probes call the Kingdom as edp1 and mc1
    And a procedure rotates the Kingdom's leaf, with the peers edp1 and mc1
    When the phases up to <from> are done
    And the procedure is aborted
    And the phase <next> is refused because "the procedure was aborted; roll it back and begin anew"
    And the procedure is rolled back
    And the probes go on for 700 ms
    And the probes stop
    Then nobody noticed
    And every replica answers with the Kingdom's old certificate
    And the phases that are done are none
    And the audit trail has <undone> entries with action "rotation_phase_rolled_back"

    Examples:
      | from       | next       | undone |
      | prepare    | distribute | 1      |
      | distribute | switch     | 2      |
      | switch     | drain      | 3      |
      | drain      | retire     | 4      |
      | retire     | retire     | 5      |

  Scenario Outline: a data provider's root, rolled back
    Given a stopping replica waits 300 ms
    And probes call the Kingdom as edp1 and mc1
    And a procedure rotates edp1's root, with the peers edp1 and mc1
    When the phases up to <from> are done
    And the procedure is aborted
    And the procedure is rolled back
    And the probes go on for 700 ms
    And the probes stop
    Then nobody noticed
    And the calls of edp1 ended on its old credential
    And every server and caller trusts what it did before the procedure
    And the audit trail has <undone> entries with action "rotation_phase_rolled_back"

    Examples:
      | from       | undone |
      | prepare    | 1      |
      | distribute | 2      |
      | switch     | 3      |
      | drain      | 4      |
      | retire     | 5      |
