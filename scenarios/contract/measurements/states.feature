Feature: States of a measurement

  @contract-1.5.2
  Scenario Outline: a direct measurement awaits fulfilment from the start, one of Duchies awaits their parameters first
    Given mc1 has a <protocol> reach measurement called m with <providers>
    Then the operator sees mc1.m in state <internal>
    And mc1 sees its measurement m in state AWAITING_REQUISITION_FULFILLMENT

    Examples:
      | protocol | providers     | internal                        |
      | direct   | edp1          | PENDING_REQUISITION_FULFILLMENT |
      | LLv2     | edp1 and edp2 | PENDING_REQUISITION_PARAMS      |
      | HMSS     | edp1 and edp2 | PENDING_REQUISITION_PARAMS      |
      | TrusTEE  | edp1 and edp2 | PENDING_REQUISITION_PARAMS      |
      | RO-LLv2  | edp1 and edp2 | PENDING_REQUISITION_PARAMS      |

  @contract-1.5.2
  Scenario Outline: five public states stand for seven internal ones
    Given mc1 has an LLv2 reach measurement called m with edp1 and edp2
    And mc1.m has reached <internal>
    Then mc1 sees its measurement m in state <public>

    Examples:
      | internal                         | public                           |
      | PENDING_REQUISITION_PARAMS       | AWAITING_REQUISITION_FULFILLMENT |
      | PENDING_REQUISITION_FULFILLMENT  | AWAITING_REQUISITION_FULFILLMENT |
      | PENDING_PARTICIPANT_CONFIRMATION | COMPUTING                        |
      | PENDING_COMPUTATION              | COMPUTING                        |
      | SUCCEEDED                        | SUCCEEDED                        |
      | FAILED                           | FAILED                           |
      | CANCELLED                        | CANCELLED                        |
