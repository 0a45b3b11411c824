@cutover
Feature: Faithfully, optional is no step between: who shows no certificate is answered UNKNOWN

  Background:
    Given the quirk no-client-certificate-is-unknown is faithful
    And mc1 sends the API key "{mc1.api_key}"
    And mc1 presents no certificate

