# What a reporting server answers, and how late it sees a revocation (contract 3.13).
Feature: Reporting with its caches

  @contract-3.13.1/c
  Scenario: A revoked provider certificate stops creation
    Given edp1's certificate is in state REVOKED
    When reporting creates a reach measurement called m with edp1
    Then reporting answers FAILED_PRECONDITION
    And reporting leaves the event rejected by 3.13.1/c

  @contract-3.13.1/b
  Scenario: Any other error of the certificate's fetch is INTERNAL
    Given the next 1 call of GetCertificate fails with UNAVAILABLE
    When reporting creates a reach measurement called m with edp1
    Then reporting answers INTERNAL

  @contract-3.13.4/a
  Scenario: With its caches a revocation is seen up to an hour later
    Given the quirk reporting-stale-caches is faithful
    And reporting creates a reach measurement called m with edp1
    And edp1 handles its requisitions
    And reporting reads the results of reporting.m
    And edp1's certificate is in state REVOKED
    When the clock moves forward by 59 minutes
    And reporting reads the results of reporting.m
    Then reporting answers OK
    When the clock moves forward by 2 minutes
    And reporting reads the results of reporting.m
    Then reporting answers FAILED_PRECONDITION

  @contract-3.13.4/a
  Scenario: As documented it is seen at once
    Given reporting creates a reach measurement called m with edp1
    And edp1 handles its requisitions
    And edp1's certificate is in state REVOKED
    When reporting reads the results of reporting.m
    Then reporting answers FAILED_PRECONDITION
    And reporting leaves the event rejected by 3.13.2/d

  @contract-3.13.2/e
  Scenario: An untrusted result is UNKNOWN
    Given the quirk untrusted-result-is-unknown is faithful
    And the results of edp1 have a spoilt signature
    And reporting creates a reach measurement called m with edp1
    And edp1 handles its requisitions
    When reporting reads the results of reporting.m
    Then reporting answers UNKNOWN

  @contract-3.13.2/e
  Scenario: As documented an untrusted result is FAILED_PRECONDITION
    Given the results of edp1 have a spoilt signature
    And reporting creates a reach measurement called m with edp1
    And edp1 handles its requisitions
    When reporting reads the results of reporting.m
    Then reporting answers FAILED_PRECONDITION
