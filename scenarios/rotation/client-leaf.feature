@rotation
Feature: A participant's client leaf is rotated while it calls the Kingdom

  @contract-2.8
  Scenario: same root
    Given probes call the Kingdom as edp1 and mc1
    When the probes go on for 300 ms
    And edp1 presents a fresh leaf of its root
    And the probes go on for 300 ms
    And the probing caller edp1 starts again
    And the probes go on for 400 ms
    And the probes stop
    Then nobody noticed
    And the calls of edp1 ended on its new credential
    And the calls of mc1 ended on its old credential
