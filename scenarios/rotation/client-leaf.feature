@rotation
Feature: A participant's client leaf is rotated while it calls the Kingdom

  @contract-2.8
  Scenario: same root
    Given probes call the Kingdom as edp1 and mc1
    When the probes go on for 300 ms
    And edp1 presents a fresh leaf of its root
    And the probes go on for 300 ms
    And the probing caller edp1 starts again
    And the probes go on for 800 ms
    And the probes stop
    Then nobody noticed
    And the calls of edp1 ended on its new credential
    And the calls of mc1 ended on its old credential

  # A connection keeps the credential of its handshake until it closes (5.5.4).
  @contract-2.8 @contract-5.5.4
  Scenario: two credentials in use at once
    Given probes call the Kingdom as edp1
    When the probes go on for 300 ms
    And edp1 presents a fresh leaf of its root
    And the probes go on for 800 ms
    And the probes stop
    Then nobody noticed
    And both credentials of edp1 were in use at once

  @contract-2.8 @contract-5.9.1
  Scenario: a laggard is cut off when its old root is retired, and it alone
    Given a stopping replica waits 200 ms
    And edp1 gets a new root
    And the trust bundle includes edp1's new root
    And the principal map knows edp1's new root
    And all 2 replicas are restarted
    And probes call the Kingdom as edp1 and mc1
    When the probes go on for 300 ms
    And the trust bundle no longer includes edp1's root
    And all 2 replicas are restarted
    And the probes go on for 400 ms
    And edp1 presents a leaf of its new root
    And the probes go on for 800 ms
    And the probes stop
    Then mc1 noticed nothing
    And the calls of edp1 ended on its new credential
    And edp1's probes of lanes new_connection, reused_channel and server_stream failed with unknown_issuer
      | from  | all 2 replicas are restarted         |
      | until | edp1 presents a leaf of its new root |

  @contract-2.3
  Scenario: a leaf sent with its intermediate loses its identity
    Given probes call the Kingdom as edp1 and mc1
    When the probes go on for 300 ms
    And edp1 presents a "through-intermediate" certificate
    And the probes go on for 800 ms
    And the probes stop
    Then edp1's probes of lane reused_channel noticed nothing
    And mc1 noticed nothing
    And edp1's probes of lane new_connection failed with chain_not_single to the end
      | from | edp1 presents a "through-intermediate" certificate |

  @contract-2.8
  Scenario: twenty rotations back to back
    Given probes call the Kingdom as edp1
    When the probes go on for 200 ms
    And edp1 presents 20 fresh leaves of its root, one every 120 ms
    And the probes go on for 200 ms
    And the probes stop
    Then nobody noticed
    And calls of edp1 were answered under 21 of its credentials
