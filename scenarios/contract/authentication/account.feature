Feature: Accounts
  The fake has none: what needs an account never finds one.

  @contract-2.7
  Scenario Outline: an ID token that cannot be used
    Given mc1 sends the metadata id_token "<token>"
    When mc1 calls MeasurementConsumers.GetMeasurementConsumer with
      """
      name: "{mc1}"
      """
    Then the call fails with <code>
    And the server recorded a refused call with cause account_invalid

    Examples:
      | case                  | token                                       | code            |
      | too-few-parts         | e30.e30                                     | UNAUTHENTICATED |
      | too-many-parts        | e30.e30.c2ln.c2ln                           | UNAUTHENTICATED |
      | base64                | !!!.e30.c2ln                                | UNKNOWN         |
      | json                  | bm9uc2Vuc2U.e30.c2ln                        | UNKNOWN         |

  @contract-2.7
  Scenario: a token of an unknown account lets the call go on without an account
    Given mc1 sends the metadata id_token "e30.e30.c2ln"
    When mc1 calls MeasurementConsumers.GetMeasurementConsumer with
      """
      name: "{mc1}"
      """
    Then the call succeeds
    When mc1 calls MeasurementConsumers.AddMeasurementConsumerOwner with
      """
      name: "{mc1}"
      """
    Then the call fails with UNAUTHENTICATED

  @contract-2.7 @contract-2.2
  Scenario: services without the account's interceptor do not look at an ID token
    Given mc1 sends the metadata id_token "e30.e30"
    When mc1 reads the certificate mc1.certificate
    Then the call succeeds

  @contract-2.7
  Scenario: a bearer token is not understood
    Given edp1 presents a "akid-absent" certificate
    And edp1 sends the metadata authorization "Bearer e30.e30.c2ln"
    When edp1 reads the certificate edp1.certificate
    Then the call fails with UNAUTHENTICATED

  @contract-2.14
  Scenario Outline: quirks are switched together as well as one by one
    Given every quirk is <setting>
    When edp1 calls Certificates.GetCertificate with
      """
      name: "{edp1}/certificates/AAAAAAAAAZQ"
      """
    Then the call fails with <code>

    Examples:
      | setting       | code                                       |
      | faithful      | UNKNOWN                                    |
      | as-documented | NOT_FOUND and reason CERTIFICATE_NOT_FOUND |
