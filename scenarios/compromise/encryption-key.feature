@compromise
Feature: An encryption key is stolen

  @contract-3.10/8 @contract-1.2.4
  Scenario: a data provider's: what was encrypted to the dropped key stays shut
    Given mc1 creates a reach measurement called old with edp1
    And edp1 puts a new encryption key in force and drops the old one
    And mc1 creates a reach measurement called new with edp1
    When edp1 handles its requisitions
    Then edp1's old encryption key is dead by 3.10/7: it did not open mc1.old, and opened mc1.new
