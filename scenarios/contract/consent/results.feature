# Who notices a bad or revoked result (contract 3.13.2, 3.13.3, 3.15.1).
Feature: A result is trusted only with its certificate

  @contract-3.13.3
  Scenario: A revoked result certificate is noticed by whoever reads revocation states
    Given mc1 creates a reach measurement called m with edp1
    And edp1 handles its requisitions
    When edp1's certificate is in state REVOKED
    Then mc1 sees its measurement m in state SUCCEEDED
    And mc1 rejects the results of mc1.m by 3.13.2/d

  @contract-3.13.3 @contract-3.15.1
  Scenario: The official tool does not notice it
    Given mc1 creates a reach measurement called m with edp1
    And edp1 handles its requisitions
    And mc1 checks as little as the official tool
    When edp1's certificate is in state REVOKED
    Then mc1 accepts the results of mc1.m

  Scenario Outline: The result has <defect>
    Given the results of edp1 have <defect>
    And mc1 creates a reach measurement called m with edp1
    When edp1 handles its requisitions
    Then mc1 rejects the results of mc1.m by <row>

    @contract-3.13.2/c
    Examples:
      | defect              | row      |
      | a spoilt ciphertext | 3.13.2/c |

    @contract-3.13.2/e
    Examples:
      | defect             | row      |
      | a spoilt signature | 3.13.2/e |
      | an unsupported OID | 3.13.2/e |

  @contract-3.3.2
  Scenario: An old result under a certificate that has expired since
    Given edp1 has a new certificate called short, valid from day -1 to day 1
    And edp1 registers its certificate short
    And edp1 signs with its certificate short
    And mc1 creates a reach measurement called m with edp1
    And edp1 handles its requisitions
    When the clock moves forward by 2 days
    Then mc1 rejects the results of mc1.m by 3.13.2/e
