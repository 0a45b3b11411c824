# A data provider verifies a requisition before it fulfils it. Each refusal names the row of the
# contract's table 3.10 that makes it; what the real process ends at stands in endings.feature.
Feature: A data provider refuses what it cannot verify

  @contract-3.7.4 @contract-3.15.1
  Scenario: A good requisition is fulfilled and its result accepted
    Given mc1 creates a reach measurement called m with edp1
    When edp1 handles its requisitions
    Then edp1 fulfils mc1.m
    And mc1 sees its measurement m in state SUCCEEDED
    And mc1 accepts the results of mc1.m

  @contract-3.10/2 @contract-3.4.4
  Scenario: The consumer's certificate has no authority key identifier
    Given mc1 has a "akid-absent" certificate called bare
    And mc1 registers its certificate bare
    And mc1 signs with its certificate bare
    And mc1 creates a reach measurement called m with edp1
    When edp1 handles its requisitions
    Then edp1 refuses mc1.m with CONSENT_SIGNAL_INVALID by 3.10/2

  @contract-3.10/3
  Scenario: The consumer's certificate is of a root that nobody trusts
    Given mc1 has a "unknown-authority" certificate called stranger
    And mc1 registers its certificate stranger
    And mc1 signs with its certificate stranger
    And mc1 creates a reach measurement called m with edp1
    When edp1 handles its requisitions
    Then edp1 refuses mc1.m with CONSENT_SIGNAL_INVALID by 3.10/3
    And mc1 sees its measurement m failed with REQUISITION_REFUSED

  @contract-3.10/4 @contract-3.3.2
  Scenario: The consumer's certificate expired after the Kingdom took the measurement
    Given mc1 has a new certificate called short, valid from day -1 to day 1
    And mc1 registers its certificate short
    And mc1 signs with its certificate short
    And mc1 creates a reach measurement called m with edp1
    When the clock moves forward by 2 days
    And edp1 handles its requisitions
    Then edp1 refuses mc1.m with CONSENT_SIGNAL_INVALID by 3.10/4

  Scenario Outline: The measurement has <defect>
    Given mc1 creates a reach measurement called m with edp1 that has <defect>
    When edp1 handles its requisitions
    Then edp1 refuses mc1.m with <justification> by <row>
    And mc1 sees its measurement m failed with REQUISITION_REFUSED

    @contract-3.10/5
    Examples:
      | defect                     | justification          | row    |
      | a spoilt signature         | CONSENT_SIGNAL_INVALID | 3.10/5 |
      | an unsupported OID         | CONSENT_SIGNAL_INVALID | 3.10/5 |
      | an OID of another key type | CONSENT_SIGNAL_INVALID | 3.10/5 |

    @contract-3.10/7
    Examples:
      | defect                            | justification          | row    |
      | a key that the provider never had | CONSENT_SIGNAL_INVALID | 3.10/7 |

    @contract-3.10/8
    Examples:
      | defect                                       | justification          | row    |
      | a RequisitionSpec encrypted to a foreign key | CONSENT_SIGNAL_INVALID | 3.10/8 |
      | an unparsable plaintext                      | SPEC_INVALID           | 3.10/8 |

    @contract-3.10/9
    Examples:
      | defect                                          | justification | row    |
      | another message in place of the RequisitionSpec | SPEC_INVALID  | 3.10/9 |

    @contract-3.10/10
    Examples:
      | defect                                         | justification          | row     |
      | a spoilt RequisitionSpec signature             | CONSENT_SIGNAL_INVALID | 3.10/10 |
      | an unsupported OID on the RequisitionSpec      | CONSENT_SIGNAL_INVALID | 3.10/10 |
      | an OID of another key type on the RequisitionSpec | CONSENT_SIGNAL_INVALID | 3.10/10 |
      | another measurement key in the RequisitionSpec | CONSENT_SIGNAL_INVALID | 3.10/10 |
      | a nonce whose hash is not listed               | CONSENT_SIGNAL_INVALID | 3.10/10 |

    @contract-3.5.1
    Examples:
      | defect                      | justification | row   |
      | an unusable measurement key | SPEC_INVALID  | 3.5.1 |

  Scenario Outline: The measurement has <oddity>, which is no defect
    Given mc1 creates a reach measurement called m with edp1 that has <oddity>
    When edp1 handles its requisitions
    Then edp1 fulfils mc1.m
    And mc1 accepts the results of mc1.m

    @contract-3.1.5
    Examples:
      | oddity                            |
      | an empty OID                      |

    @contract-3.8.3
    Examples:
      | oddity                            |
      | the legacy measurement key fields |

  @contract-3.10/11
  Scenario: An event group's name cannot be read
    Given mc1 creates a reach measurement called m with edp1 of the event group "eventGroups/x"
    When edp1 handles its requisitions
    Then edp1 refuses mc1.m with SPEC_INVALID by 3.10/11

  @contract-3.10.5
  Scenario Outline: The event group id <id> asks for a refusal
    Given a running Kingdom
    And mc1 creates a reach measurement called m with edp1 of the event group "{edp1}/eventGroups/<id>"
    When edp1 handles its requisitions
    Then edp1 refuses mc1.m with <justification> by 3.10.5

    Examples:
      | id                          | justification               |
      | consent-signal-invalid      | CONSENT_SIGNAL_INVALID      |
      | spec-invalid                | SPEC_INVALID                |
      | insufficient-privacy-budget | INSUFFICIENT_PRIVACY_BUDGET |
      | unfulfillable               | UNFULFILLABLE               |
      | declined                    | DECLINED                    |

  @contract-3.10/12
  Scenario: An event group is missing, of another kind, or good
    Given edp1 has an event group called good for mc1 with the reference id "sim-eg-1"
    And edp1 has an event group called other for mc1 with the reference id "real-1"
    And mc1 creates a reach measurement called a with edp1 of the event group "{edp1}/eventGroups/AAAAAAAAAZQ"
    And mc1 creates a reach measurement called b with edp1 of the event group "{edp1.other}"
    And mc1 creates a reach measurement called c with edp1 of the event group "{edp1.good}"
    When edp1 handles its requisitions
    Then edp1 refuses mc1.a with SPEC_INVALID by 3.10/12
    And edp1 refuses mc1.b with SPEC_INVALID by 3.10/12
    And edp1 fulfils mc1.c

  @contract-3.10/13
  Scenario: A population measurement fits no protocol of this provider
    Given mc1 creates a population measurement called m with edp1
    When edp1 handles its requisitions
    Then edp1 refuses mc1.m with SPEC_INVALID by 3.10/13

  @contract-3.10/14
  Scenario: A Duchy's key is signed under another owner's root
    Given worker1 has a new certificate called stranger of edp2's root
    And worker1 registers its certificate stranger
    And worker1 signs with its certificate stranger
    And mc1 creates a reach measurement called m with edp1 and edp2
    And every Duchy gives its key for mc1.m
    When edp1 handles its requisitions
    Then edp1 refuses mc1.m with CONSENT_SIGNAL_INVALID by 3.10/14

  @contract-3.10/14 @contract-3.12.3
  Scenario: An LLv2 measurement whose keys all verify is fulfilled and confirmed
    Given mc1 creates a reach measurement called m with edp1 and edp2
    And every Duchy gives its key for mc1.m
    When edp1 handles its requisitions
    And edp2 handles its requisitions
    And aggregator confirms mc1.m
    Then edp1 fulfils mc1.m
    And edp2 fulfils mc1.m
    And aggregator leaves the event participant_confirmed by 3.12.3
    And mc1 sees its measurement m in state COMPUTING
