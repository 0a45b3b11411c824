Feature: The cutover to mTLS phase by phase, from off over optional to required

  # Prepare hands each caller its leaf, distribute lets the replicas ask for one, switch lets them
  # require it. While they ask, they record who shows none: that is who the switch would cut off.
  Background:
    Given the quirk no-client-certificate-is-unknown is as-documented
    And a stopping replica waits 100 ms
    And client certificates are off
    And mc1 presents no certificate
    And mc1 sends the API key "{mc1.api_key}"
    And probes call the Kingdom as mc1
    And a procedure cuts the Kingdom over to mTLS, with the peer mc1
    And the probes go on for 200 ms

  @cutover @contract-2.1 @contract-2.6
  Scenario: prepare, distribute, switch, drain, retire
    When the phases up to retire are done
    And the probes go on for 300 ms
    And the probes stop
    Then nobody noticed
    And the callers without a certificate are none
    And mc1 is refused without a certificate by every replica, and accepted with its leaf
    And the phases that are done are prepare, distribute, switch, drain, retire
    And the audit trail has 5 entries with action "rotation_phase"

  @cutover @contract-2.1
  Scenario: a replica that asks nobody for a certificate keeps switch shut
    When the phase prepare is done
    And replica 1 lags behind
    And the phase distribute is done
    Then the gate of switch stays shut for 300 ms because "replica 1 does not ask for a certificate; mc1 shows no certificate"
    When replica 1 catches up
    And the phases up to retire are done
    And the probes go on for 100 ms
    And the probes stop
    Then nobody noticed
    And mc1 is refused without a certificate by every replica, and accepted with its leaf

  @contract-2.1
  Scenario: a leaf of a root that the replicas do not trust keeps distribute shut
    When the phase prepare is done
    And the trust bundle no longer includes mc1's root
    And all 2 replicas are restarted
    Then the gate of distribute stays shut for 300 ms because "replica 0 does not trust mc1's root; replica 1 does not trust mc1's root"

  # The way back, from every phase: in the end nobody needs a certificate, as at the start. Before the
  # switch nothing was required, so that these two are no cutovers.
  @contract-2.1 @contract-2.6
  Scenario Outline: rolled back before the switch
    When the phases up to <from> are done
    And the probes go on for 200 ms
    And the procedure is aborted
    And the procedure is rolled back
    And the probes go on for 300 ms
    And the probes stop
    Then mc1 noticed nothing
    And mc1 is served without a certificate by every replica
    And the calls of mc1 ended on its old credential
    And the audit trail has <undone> entries with action "rotation_phase_rolled_back"

    Examples:
      | from       | undone |
      | prepare    | 1      |
      | distribute | 2      |

  @cutover @contract-2.1 @contract-2.6
  Scenario Outline: rolled back
    When the phases up to <from> are done
    And the probes go on for 200 ms
    Then mc1 is refused without a certificate by every replica, and accepted with its leaf
    When the procedure is aborted
    And the procedure is rolled back
    And the probes go on for 300 ms
    And the probes stop
    Then nobody noticed
    And mc1 is served without a certificate by every replica
    And the calls of mc1 ended on its old credential
    And the audit trail has <undone> entries with action "rotation_phase_rolled_back"

    Examples:
      | from   | undone |
      | switch | 3      |
      | drain  | 4      |
      | retire | 5      |
