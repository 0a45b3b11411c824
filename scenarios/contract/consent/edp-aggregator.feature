# The EDP aggregator's fetcher registers or refuses by report (contract 3.11).
Feature: An EDP aggregator refuses by report

  @contract-3.11.2
  Scenario: A requisition without a report is refused alone
    Given an EDP aggregator handles the requisitions of edp1
    And mc1 creates a reach measurement called lone with edp1
    And mc1 creates a reach measurement called good with edp1 of the report r
    When edp1 handles its requisitions
    Then edp1 refuses mc1.lone with SPEC_INVALID by 3.11.2
    And edp1 fulfils mc1.good

  @contract-3.11.3
  Scenario: The first refusal hits the whole report
    Given the quirk aggregator-skips-consent-checks is faithful
    And the quirk aggregator-refuses-whole-report is faithful
    And an EDP aggregator handles the requisitions of edp1
    And mc1 creates a reach measurement called good with edp1 of the report r
    And mc1 creates a reach measurement called bad with edp1 of the report r that has a RequisitionSpec encrypted to a foreign key
    And mc1 creates a reach measurement called other with edp1 of the report s
    When edp1 handles its requisitions
    Then edp1 refuses mc1.bad with CONSENT_SIGNAL_INVALID by 3.11.3
    And edp1 refuses mc1.good with CONSENT_SIGNAL_INVALID by 3.11.3
    And edp1 fulfils mc1.other

  @contract-3.11.3
  Scenario: As documented only the offending requisition is refused
    Given the quirk aggregator-skips-consent-checks is faithful
    And an EDP aggregator handles the requisitions of edp1
    And mc1 creates a reach measurement called good with edp1 of the report r
    And mc1 creates a reach measurement called bad with edp1 of the report r that has a RequisitionSpec encrypted to a foreign key
    When edp1 handles its requisitions
    Then edp1 refuses mc1.bad with CONSENT_SIGNAL_INVALID by 3.11.3
    And edp1 fulfils mc1.good

  @contract-3.11.1
  Scenario: A spoilt signature is fulfilled without a check
    Given the quirk aggregator-skips-consent-checks is faithful
    And an EDP aggregator handles the requisitions of edp1
    And mc1 creates a reach measurement called m with edp1 of the report r that has a spoilt signature
    When edp1 handles its requisitions
    Then edp1 fulfils mc1.m

  @contract-3.11.1
  Scenario: As documented a spoilt signature is refused
    Given an EDP aggregator handles the requisitions of edp1
    And mc1 creates a reach measurement called m with edp1 of the report r that has a spoilt signature
    When edp1 handles its requisitions
    Then edp1 refuses mc1.m with CONSENT_SIGNAL_INVALID by 3.10/5
