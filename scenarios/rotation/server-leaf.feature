@rotation
Feature: The Kingdom's own leaf is rotated while participants call it

  @contract-5.4.2 @contract-2.8
  Scenario: rolling restart
    Given a Kingdom with 3 replicas
    And a stopping replica waits 1 second
    And probes call the Kingdom as edp1 and mc1
    When the probes go on for 400 ms
    And a call of each probing caller is held for 600 ms
    And the Kingdom gets a new certificate
    And replica 0 is restarted
    And the probes go on for 200 ms
    And replica 1 is restarted
    And the probes go on for 200 ms
    And replica 2 is restarted
    And the probes go on for 800 ms
    And the probes stop
    Then nobody noticed
    And each held call was answered
    And every replica answers with the Kingdom's new certificate

  @contract-5.4.1
  Scenario: hot reload
    Given replicas read changed files while they run
    And probes call the Kingdom as edp1 and mc1
    When the probes go on for 300 ms
    And the Kingdom gets a new certificate
    And the probes go on for 1700 ms
    And the probes stop
    Then nobody noticed
    And every replica answers with the Kingdom's new certificate

  Scenario: rolled back
    Given a stopping replica waits 200 ms
    And probes call the Kingdom as edp1
    When the probes go on for 200 ms
    And the Kingdom gets a new certificate
    And replica 0 is restarted
    And the probes go on for 300 ms
    And the Kingdom gets its first certificate back
    And replica 0 is restarted
    And the probes go on for 800 ms
    And the probes stop
    Then nobody noticed
    And every replica answers with the Kingdom's old certificate

  @contract-5.4.2
  Scenario: one late replica
    Given a stopping replica waits 200 ms
    And probes call the Kingdom as edp1
    When the probes go on for 200 ms
    And the Kingdom gets a new certificate
    And replica 0 is restarted
    And the probes go on for 600 ms
    And replica 1 is restarted
    And the probes go on for 800 ms
    And the probes stop
    Then nobody noticed
    And every replica answers with the Kingdom's new certificate

  @contract-5.6.1
  Scenario Outline: a certificate that clients refuse is seen on new connections, and named
    Given replicas read changed files while they run
    And probes call the Kingdom as edp1
    When the probes go on for 300 ms
    And the Kingdom gets a new certificate
    And the probes go on for 1300 ms
    And the Kingdom gets a new certificate that <what>
    And the probes go on for 1700 ms
    And the probes stop
    Then the probes of lane reused_channel noticed nothing
    And the probes of lane new_connection failed with <cause> to the end
      | from   | the Kingdom gets a new certificate that <what> |
      | within | 1500 ms                                        |

    Examples:
      | what                 | cause                |
      | names another server | server_name_mismatch |
      | has expired          | expired              |
      | is not valid yet     | not_yet_valid        |

  @contract-5.7.3
  Scenario: a key that is not the certificate's keeps what is in force
    Given replicas read changed files while they run
    And probes call the Kingdom as edp1
    When the probes go on for 300 ms
    And the Kingdom gets a new certificate
    And the probes go on for 1300 ms
    And the Kingdom gets a new certificate that is not of its key
    And the probes go on for 1300 ms
    And the probes stop
    Then nobody noticed
    And replica 0 does not reload
