@rotation
Feature: Every authentication failure after a rotation is seen and named, and no other

  @contract-5.9.1
  Scenario: a participant that lost its root is named, and an alert is raised
    Given a stopping replica waits 200 ms
    And an alert is raised by 3 failures within 10 seconds
    And edp1 gets a new root
    And probes call the Kingdom as edp1 and mc1
    When the probes go on for 200 ms
    And edp1 presents a leaf of its new root
    And the probes go on for 1000 ms
    And the probes stop
    Then mc1 noticed nothing
    And the monitor saw at least 3 failures of edp1 with unknown_issuer, and no other
    And an alert was raised within 800 ms of the first failure
    And edp1's probes of lane new_connection failed with unknown_issuer to the end
      | from | edp1 presents a leaf of its new root |

  @contract-2.8
  Scenario: a clean rotation raises none
    Given an alert is raised by 1 failures within 10 seconds
    And probes call the Kingdom as edp1 and mc1
    When the probes go on for 300 ms
    And edp1 presents a fresh leaf of its root
    And the probes go on for 500 ms
    And the probes stop
    Then nobody noticed
    And no alert was raised
