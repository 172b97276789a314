//! What of a stack is encrypted, and what outlives it.

use std::collections::BTreeSet;

use serde_json::json;

use crate::template::{of_type, read, read_text};

#[test]
fn every_queue_is_encrypted() {
    let template = read("template.yaml");
    let queues = of_type(&template, "AWS::SQS::Queue");
    assert_eq!(queues.len(), 13);
    for (id, queue) in queues {
        assert_eq!(queue["Properties"]["SqsManagedSseEnabled"], true, "{id}");
    }
}

/// What is archived is nowhere else.
#[test]
fn the_bucket_of_the_archive_is_private_encrypted_versioned_and_outlives_the_stack() {
    let template = read("template.yaml");
    let buckets = of_type(&template, "AWS::S3::Bucket");
    let [(id, bucket)] = &buckets[..] else { panic!("one bucket: {}", buckets.len()) };
    assert_eq!(bucket["DeletionPolicy"], "RetainExceptOnCreate");
    assert_eq!(bucket["UpdateReplacePolicy"], "Retain");
    let properties = &bucket["Properties"];
    let rule = &properties["BucketEncryption"]["ServerSideEncryptionConfiguration"][0];
    assert_eq!(rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"], "AES256");
    assert_eq!(properties["VersioningConfiguration"]["Status"], "Enabled");
    let access = properties["PublicAccessBlockConfiguration"].as_object().unwrap();
    assert_eq!(access.len(), 4);
    assert!(access.values().all(|is_blocked| *is_blocked == true), "{access:?}");
    let policies = of_type(&template, "AWS::S3::BucketPolicy");
    let [(_, policy)] = &policies[..] else { panic!("one policy: {}", policies.len()) };
    assert_eq!(policy["Properties"]["Bucket"], json!({ "Ref": id }));
    let statement = &policy["Properties"]["PolicyDocument"]["Statement"][0];
    assert_eq!(statement["Effect"], "Deny");
    assert_eq!(statement["Condition"], json!({ "Bool": { "aws:SecureTransport": "false" } }));
    assert_eq!(statement["Resource"].as_array().unwrap().len(), 2, "the bucket and its objects");
}

/// Some variables are secrets. With Lambda's own key, those who may read a function's configuration
/// read them.
#[test]
fn variables_of_functions_and_secrets_are_encrypted_with_the_stacks_own_key() {
    let template = read("template.yaml");
    let key = json!({ "Fn::GetAtt": "SecretsKey.Arn" });
    assert_eq!(template["Resources"]["SecretsKey"]["Type"], "AWS::KMS::Key");
    assert_eq!(template["Globals"]["Function"]["KmsKeyArn"], key);
    for (id, secret) in of_type(&template, "AWS::SecretsManager::Secret") {
        assert_eq!(secret["Properties"]["KmsKeyId"], key, "{id}");
    }
    for (id, function) in of_type(&template, "AWS::Serverless::Function") {
        assert_eq!(function["Properties"].get("KmsKeyArn"), None, "{id} has another key");
    }
}

/// The rows of the page whose second cell is that a resource is retained.
#[test]
fn the_page_of_the_deployment_names_every_table_and_queue_that_outlives_the_stack() {
    let (template, page) = (read("template.yaml"), read_text("docs/deploy.md"));
    let retained = template["Resources"].as_object().unwrap().values();
    let retained = retained.filter(|resource| resource.get("DeletionPolicy").is_some());
    // The bucket has no chosen name: names of buckets are shared by all accounts.
    let retained = retained.filter(|resource| resource["Type"] != "AWS::S3::Bucket");
    let names: BTreeSet<String> = retained
        .map(|resource| {
            let properties = &resource["Properties"];
            let name = properties.get("TableName").unwrap_or(&properties["QueueName"]);
            let name = name["Fn::Sub"].as_str().unwrap();
            name.strip_prefix("${AWS::StackName}-").unwrap().to_owned()
        })
        .collect();
    let rows = page.lines().filter(|line| line.starts_with('|') && line.contains("| retained"));
    let cells = rows.filter_map(|row| row.split(" | ").next());
    let named = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).map(str::to_owned);
    assert_eq!(named.collect::<BTreeSet<String>>(), names);
}
