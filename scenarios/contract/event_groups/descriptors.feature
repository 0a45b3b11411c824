Feature: Descriptors of event group metadata

  @contract-1.4.13
  Scenario Outline: who reads
    Given edp1 has a metadata descriptor called d of the message type example.Metadata
    When <actor> calls EventGroupMetadataDescriptors.GetEventGroupMetadataDescriptor with
      """
      name: "{edp1.d}"
      """
    Then the call <outcome>

    Examples:
      | actor          | outcome                      |
      | edp1           | succeeds                     |
      | mc1            | succeeds                     |
      | edp2           | fails with PERMISSION_DENIED |
      | worker1        | fails with PERMISSION_DENIED |
      | modelprovider1 | fails with PERMISSION_DENIED |

  @contract-1.4.13
  Scenario Outline: only its provider writes
    Given edp1 has a metadata descriptor called d of the message type example.Metadata
    When <actor> calls EventGroupMetadataDescriptors.<method> with
      """
      <request>
      """
    Then the call fails with PERMISSION_DENIED

    Examples:
      | case      | actor | method                             | request                                              |
      | create    | edp2  | CreateEventGroupMetadataDescriptor | parent: "{edp1}"                                     |
      | create-mc | mc1   | CreateEventGroupMetadataDescriptor | parent: "{edp1}"                                     |
      | update    | edp2  | UpdateEventGroupMetadataDescriptor | event_group_metadata_descriptor { name: "{edp1.d}" } |

  @contract-1.4.13
  Scenario Outline: the parent that stands for all providers
    Given edp1 has a metadata descriptor called d of the message type example.One
    And edp2 has a metadata descriptor called d of the message type example.Two
    When <actor> calls EventGroupMetadataDescriptors.<method> with
      """
      parent: "dataProviders/-" <more>
      """
    Then the call <outcome>

    Examples:
      | case          | actor | method                                | more                                   | outcome                      |
      | list          | mc1   | ListEventGroupMetadataDescriptors     |                                        | succeeds                     |
      | batch         | mc1   | BatchGetEventGroupMetadataDescriptors | names: ["{edp1.d}", "{edp2.d}"]        | succeeds                     |
      | list-provider | edp1  | ListEventGroupMetadataDescriptors     |                                        | fails with PERMISSION_DENIED |
      | batch-provider | edp1 | BatchGetEventGroupMetadataDescriptors | names: "{edp1.d}"                      | fails with PERMISSION_DENIED |

  @contract-1.4.13
  Scenario: a consumer lists one provider's or all
    Given edp1 has a metadata descriptor called d of the message type example.One
    And edp2 has a metadata descriptor called d of the message type example.Two
    When mc1 calls EventGroupMetadataDescriptors.ListEventGroupMetadataDescriptors with
      """
      parent: "{edp1}"
      """
    Then the response lists event_group_metadata_descriptors[*].name in this order
      | {edp1.d} |
    When mc1 calls EventGroupMetadataDescriptors.ListEventGroupMetadataDescriptors with
      """
      parent: "dataProviders/-"
      """
    Then the response lists event_group_metadata_descriptors[*].name in any order
      | {edp1.d} |
      | {edp2.d} |

  @contract-1.4.13 @contract-1.0.6 @contract-1.0.13/ListEventGroupMetadataDescriptors
  Scenario Outline: listing: size, parent, token and its comparison, principal, permission
    Given token is the page token wfa.measurement.api.v2alpha.ListEventGroupMetadataDescriptorsPageToken with
      """
      page_size: 5 external_data_provider_id: {edp1.number}
      last_event_group_metadata_descriptor { external_data_provider_id: 1 external_event_group_metadata_descriptor_id: 1 }
      """
    And <given>
    When <actor> calls EventGroupMetadataDescriptors.ListEventGroupMetadataDescriptors with
      """
      <request>
      """
    Then the call fails with <code>

    Examples:
      | case                        | given                                     | actor | request                                             | code              |
      | size-before-parent          | edp1 presents a "akid-absent" certificate | edp1  | parent: "nonsense" page_size: -1                    | INVALID_ARGUMENT  |
      | garbage-before-principal    | edp1 presents a "akid-absent" certificate | edp1  | parent: "{edp1}" page_token: "not base64!"          | UNKNOWN           |
      | comparison-before-principal | edp1 presents a "akid-absent" certificate | edp1  | parent: "{edp2}" page_token: "{token}"              | INVALID_ARGUMENT  |
      | principal                   | edp1 presents a "akid-absent" certificate | edp1  | parent: "{edp1}" page_token: "{token}"              | UNAUTHENTICATED   |
      | permission                  | a running Kingdom                         | edp2  | parent: "{edp1}" page_token: "{token}"              | PERMISSION_DENIED |

  @contract-1.4.13
  Scenario: pages
    Given edp1 has a metadata descriptor called a of the message type example.One
    And edp1 has a metadata descriptor called b of the message type example.Two
    When edp1 calls EventGroupMetadataDescriptors.ListEventGroupMetadataDescriptors with
      """
      parent: "{edp1}" page_size: 1
      """
    Then the response has 1 event_group_metadata_descriptors
    And the response field event_group_metadata_descriptors[0].name is saved as first
    And the response field next_page_token is saved as token
    When edp1 calls EventGroupMetadataDescriptors.ListEventGroupMetadataDescriptors with
      """
      parent: "{edp1}" page_token: "{token}" page_size: 2000
      """
    Then the response has 1 event_group_metadata_descriptors
    And the response field event_group_metadata_descriptors[0].name is not "{first}"
    And the response field next_page_token is ""

  @contract-1.4.13 @contract-1.0.11/EVENT_GROUP_METADATA_DESCRIPTOR_NOT_FOUND
  Scenario Outline: what does not exist
    When edp1 calls EventGroupMetadataDescriptors.<method> with
      """
      <request>
      """
    Then the call fails with NOT_FOUND and reason EVENT_GROUP_METADATA_DESCRIPTOR_NOT_FOUND
    And the error domain is "halo.wfanet.org"
    And the error metadata is
      | eventGroupMetadataDescriptor | {edp1}/eventGroupMetadataDescriptors/AAAAAAAAAZQ |

    @contract-1.0.12/GetEventGroupMetadataDescriptor
    Examples:
      | method                             | request                                                    |
      | GetEventGroupMetadataDescriptor    | name: "{edp1}/eventGroupMetadataDescriptors/AAAAAAAAAZQ"   |

    @contract-1.0.12/UpdateEventGroupMetadataDescriptor
    Examples:
      | method                             | request                                                    |
      | UpdateEventGroupMetadataDescriptor | event_group_metadata_descriptor { name: "{edp1}/eventGroupMetadataDescriptors/AAAAAAAAAZQ" descriptor_set { } } |

  @contract-1.4.13
  Scenario Outline: a descriptor set that does not link
    Given the quirk constraint-violation-is-unknown is <setting>
    And edp1 has a metadata descriptor called d of the message type example.Metadata
    When edp1 calls EventGroupMetadataDescriptors.<method> with
      """
      <where> descriptor_set { file { name: "x.proto" dependency: "missing.proto" } } }
      """
    Then the call fails with <code>
    And the error has no ErrorInfo

    Examples:
      | case              | setting       | method                             | where                                              | code             |
      | create            | faithful      | CreateEventGroupMetadataDescriptor | parent: "{edp1}" event_group_metadata_descriptor { | INVALID_ARGUMENT |

    @contract-1.0.17/UpdateEventGroupMetadataDescriptor
    Examples:
      | case              | setting       | method                             | where                                              | code             |
      | faithful-update   | faithful      | UpdateEventGroupMetadataDescriptor | event_group_metadata_descriptor { name: "{edp1.d}" | UNKNOWN          |
      | documented-update | as-documented | UpdateEventGroupMetadataDescriptor | event_group_metadata_descriptor { name: "{edp1.d}" | INVALID_ARGUMENT |

  @contract-1.0.17/CreateEventGroupMetadataDescriptor @contract-1.0.11/EVENT_GROUP_METADATA_DESCRIPTOR_ALREADY_EXISTS_WITH_TYPE
  Scenario Outline: a message type that is registered already
    Given the quirk constraint-violation-is-unknown is <setting>
    And edp1 has a metadata descriptor called d of the message type example.Metadata
    When edp1 calls EventGroupMetadataDescriptors.CreateEventGroupMetadataDescriptor with
      """
      parent: "{edp1}" event_group_metadata_descriptor {
        descriptor_set { file { name: "again.proto" package: "example" syntax: "proto3" message_type { name: "Metadata" } } }
      }
      """
    Then the call fails with <code> and reason EVENT_GROUP_METADATA_DESCRIPTOR_ALREADY_EXISTS_WITH_TYPE
    And the error metadata is empty

    Examples:
      | setting       | code           |
      | faithful      | UNKNOWN        |
      | as-documented | ALREADY_EXISTS |

  @contract-1.0.12/UpdateEventGroupMetadataDescriptor
  Scenario: updating what does not exist is not found
    When edp1 calls EventGroupMetadataDescriptors.UpdateEventGroupMetadataDescriptor with
      """
      event_group_metadata_descriptor { name: "{edp1}/eventGroupMetadataDescriptors/AAAAAAAAAZQ" descriptor_set { } }
      """
    Then the call fails with NOT_FOUND and reason EVENT_GROUP_METADATA_DESCRIPTOR_NOT_FOUND

  @contract-1.0.7
  Scenario: a descriptor's creation is repeated by its request_id
    When edp1 calls EventGroupMetadataDescriptors.CreateEventGroupMetadataDescriptor with
      """
      parent: "{edp1}" request_id: "again" event_group_metadata_descriptor {
        descriptor_set { file { name: "a.proto" package: "example" syntax: "proto3" message_type { name: "Metadata" } } }
      }
      """
    Then the response field name is saved as first
    When edp1 calls EventGroupMetadataDescriptors.CreateEventGroupMetadataDescriptor with
      """
      parent: "{edp1}" request_id: "again" event_group_metadata_descriptor {
        descriptor_set { file { name: "a.proto" package: "example" syntax: "proto3" message_type { name: "Metadata" } } }
      }
      """
    Then the response has name: {first}

  @contract-1.4.14
  Scenario: a batch follows its names
    Given edp1 has a metadata descriptor called a of the message type example.One
    And edp1 has a metadata descriptor called b of the message type example.Two
    When mc1 calls EventGroupMetadataDescriptors.BatchGetEventGroupMetadataDescriptors with
      """
      parent: "{edp1}" names: ["{edp1.b}", "{edp1.a}"]
      """
    Then the response lists event_group_metadata_descriptors[*].name in this order
      | {edp1.b} |
      | {edp1.a} |

  @contract-1.4.14
  Scenario: of each name only the descriptor's id counts, together with the parent
    Given edp1 has a metadata descriptor called a of the message type example.One
    When mc1 calls EventGroupMetadataDescriptors.BatchGetEventGroupMetadataDescriptors with
      """
      parent: "{edp1}" names: "{edp2}/eventGroupMetadataDescriptors/{edp1.a_id}"
      """
    Then the response lists event_group_metadata_descriptors[*].name in this order
      | {edp1.a} |

  @contract-1.4.14
  Scenario: a malformed name is not found
    When mc1 calls EventGroupMetadataDescriptors.BatchGetEventGroupMetadataDescriptors with
      """
      parent: "{edp1}" names: "nonsense"
      """
    Then the call fails with NOT_FOUND
    And the error has no ErrorInfo

  @contract-1.4.14
  Scenario: faithfully, what does not exist is left out
    Given edp1 has a metadata descriptor called a of the message type example.One
    When mc1 calls EventGroupMetadataDescriptors.BatchGetEventGroupMetadataDescriptors with
      """
      parent: "{edp1}" names: ["{edp1}/eventGroupMetadataDescriptors/AAAAAAAAAZQ", "{edp1.a}"]
      """
    Then the response lists event_group_metadata_descriptors[*].name in this order
      | {edp1.a} |

  @contract-1.4.14 @contract-1.0.5 @contract-1.0.12/ListMeasurements
  Scenario Outline: as documented, one that does not exist refuses the batch, in the domain of who translates
    Given the quirk batch-get-descriptors-omits-missing is as-documented
    And the quirk internal-errors-pass-untranslated is <setting>
    When mc1 calls EventGroupMetadataDescriptors.BatchGetEventGroupMetadataDescriptors with
      """
      parent: "{edp1}" names: "{edp1}/eventGroupMetadataDescriptors/AAAAAAAAAZQ"
      """
    Then the call fails with NOT_FOUND and reason EVENT_GROUP_METADATA_DESCRIPTOR_NOT_FOUND
    And the error domain is "<domain>"

    Examples:
      | setting       | domain                                     |
      | faithful      | wfa.measurement.internal.kingdom.ErrorCode |
      | as-documented | halo.wfanet.org                            |
