@contract-1.1.3
Feature: Who reads whose certificate
  Decided before existence; a resource's own certificates are always readable by it.

  Background:
    Given modelprovider1 has a new certificate called certificate
    And modelprovider1 registers its certificate certificate

  Scenario Outline: read
    When <caller> reads the certificate <owner>.certificate
    Then the call succeeds
    And the response has
      | name     | {<owner>.certificate}     |
      | x509_der | {<owner>.certificate_der} |

    Examples:
      | cell                           | caller         | owner          |
      | data-provider-own              | edp1           | edp1           |
      | data-provider-consumer         | edp1           | mc1            |
      | data-provider-duchy            | edp1           | worker1        |
      | data-provider-model-provider   | edp1           | modelprovider1 |
      | consumer-own                   | mc1            | mc1            |
      | consumer-data-provider         | mc1            | edp1           |
      | consumer-duchy                 | mc1            | worker1        |
      | consumer-model-provider        | mc1            | modelprovider1 |
      | model-provider-own             | modelprovider1 | modelprovider1 |
      | model-provider-data-provider   | modelprovider1 | edp1           |
      | model-provider-duchy           | modelprovider1 | worker1        |
      | duchy-own                      | worker1        | worker1        |
      | duchy-data-provider            | worker1        | edp1           |
      | duchy-other-duchy              | worker1        | worker2        |
      | duchy-model-provider           | worker1        | modelprovider1 |

  Scenario Outline: not permitted
    When <caller> reads the certificate <owner>.certificate
    Then the call fails with PERMISSION_DENIED
    And the error has no ErrorInfo

    Examples:
      | cell                         | caller         | owner |
      | data-provider-data-provider  | edp1           | edp2  |
      | model-provider-consumer      | modelprovider1 | mc1   |
      | duchy-consumer               | worker1        | mc1   |

  Scenario Outline: not permitted, whether it exists or not
    Given missing is "{<owner>}/certificates/AAAAAAAAAZQ"
    When <caller> reads the certificate missing
    Then the call fails with PERMISSION_DENIED

    Examples:
      | cell                        | caller         | owner |
      | data-provider-data-provider | edp1           | edp2  |
      | duchy-consumer              | worker1        | mc1   |

  Scenario: a consumer does not read another consumer's certificate, whether it exists or not
    When mc1 calls Certificates.GetCertificate with
      """
      name: "measurementConsumers/AAAAAAAAAZQ/certificates/AAAAAAAAAZQ"
      """
    Then the call fails with PERMISSION_DENIED

  Scenario Outline: an account reads certificates of Duchies and model providers only
    Given the principal map gains
      """
      entries { authority_key_identifier: "{edp2.root_skid}" principal_resource_name: "accounts/AAAAAAAAAZQ" }
      """
    And all 2 replicas are restarted
    When edp2 reads the certificate <owner>.certificate
    Then the call <outcome>

    Examples:
      | owner          | outcome                      |
      | worker1        | succeeds                     |
      | modelprovider1 | succeeds                     |
      | edp1           | fails with PERMISSION_DENIED |
      | mc1            | fails with PERMISSION_DENIED |
