//! The vocabulary of synthetic events: APIs, regions, error codes, callers' programs, words.

/// (event source, event name) of calls that change something. What is planted by name (see
/// `script`) is left out, so that no ordinary series shares its key.
pub(super) const WRITES: [(&str, &str); 49] = [
    ("ec2.amazonaws.com", "TerminateInstances"),
    ("ec2.amazonaws.com", "AuthorizeSecurityGroupIngress"),
    ("ec2.amazonaws.com", "CreateSnapshot"),
    ("ec2.amazonaws.com", "CreateNetworkInterface"),
    ("ec2.amazonaws.com", "DeleteNetworkInterface"),
    ("ec2.amazonaws.com", "ModifyVolume"),
    ("iam.amazonaws.com", "CreateRole"),
    ("iam.amazonaws.com", "PutRolePolicy"),
    ("iam.amazonaws.com", "AttachRolePolicy"),
    ("iam.amazonaws.com", "UpdateAssumeRolePolicy"),
    ("s3.amazonaws.com", "CreateBucket"),
    ("s3.amazonaws.com", "PutBucketPolicy"),
    ("s3.amazonaws.com", "PutBucketLifecycle"),
    ("kms.amazonaws.com", "CreateGrant"),
    ("kms.amazonaws.com", "RetireGrant"),
    ("kms.amazonaws.com", "ScheduleKeyDeletion"),
    ("lambda.amazonaws.com", "UpdateFunctionCode20150331v2"),
    ("lambda.amazonaws.com", "CreateFunction20150331"),
    ("lambda.amazonaws.com", "AddPermission20150331v2"),
    ("logs.amazonaws.com", "CreateLogStream"),
    ("logs.amazonaws.com", "CreateLogGroup"),
    ("logs.amazonaws.com", "PutRetentionPolicy"),
    ("ssm.amazonaws.com", "SendCommand"),
    ("ssm.amazonaws.com", "PutParameter"),
    ("ssm.amazonaws.com", "UpdateInstanceAssociationStatus"),
    ("ecs.amazonaws.com", "RunTask"),
    ("ecs.amazonaws.com", "UpdateService"),
    ("ecs.amazonaws.com", "SubmitTaskStateChange"),
    ("ecs.amazonaws.com", "RegisterTaskDefinition"),
    ("ecr.amazonaws.com", "PutImage"),
    ("ecr.amazonaws.com", "InitiateLayerUpload"),
    ("eks.amazonaws.com", "UpdateNodegroupConfig"),
    ("autoscaling.amazonaws.com", "CompleteLifecycleAction"),
    ("autoscaling.amazonaws.com", "UpdateAutoScalingGroup"),
    ("elasticloadbalancing.amazonaws.com", "RegisterTargets"),
    ("elasticloadbalancing.amazonaws.com", "DeregisterTargets"),
    ("rds.amazonaws.com", "CreateDBSnapshot"),
    ("rds.amazonaws.com", "ModifyDBInstance"),
    ("dynamodb.amazonaws.com", "UpdateTable"),
    ("dynamodb.amazonaws.com", "CreateBackup"),
    ("sqs.amazonaws.com", "CreateQueue"),
    ("sqs.amazonaws.com", "SetQueueAttributes"),
    ("sns.amazonaws.com", "Subscribe"),
    ("route53.amazonaws.com", "ChangeResourceRecordSets"),
    ("monitoring.amazonaws.com", "PutMetricAlarm"),
    ("cloudformation.amazonaws.com", "CreateChangeSet"),
    ("codebuild.amazonaws.com", "StartBuild"),
    ("glue.amazonaws.com", "BatchCreatePartition"),
    ("config.amazonaws.com", "PutEvaluations"),
];

/// (event source, event name) of calls that only read; their errors are counted, they are not.
pub(super) const READS: [(&str, &str); 24] = [
    ("ec2.amazonaws.com", "DescribeSecurityGroups"),
    ("ec2.amazonaws.com", "DescribeSnapshots"),
    ("iam.amazonaws.com", "GetRole"),
    ("iam.amazonaws.com", "ListAttachedRolePolicies"),
    ("iam.amazonaws.com", "GetInstanceProfile"),
    ("sts.amazonaws.com", "GetCallerIdentity"),
    ("sts.amazonaws.com", "AssumeRole"),
    ("sts.amazonaws.com", "AssumeRoleWithWebIdentity"),
    ("s3.amazonaws.com", "GetBucketAcl"),
    ("s3.amazonaws.com", "GetBucketPolicy"),
    ("s3.amazonaws.com", "ListBuckets"),
    ("kms.amazonaws.com", "Decrypt"),
    ("kms.amazonaws.com", "DescribeKey"),
    ("lambda.amazonaws.com", "GetFunction20150331v2"),
    ("lambda.amazonaws.com", "ListFunctions20150331"),
    ("logs.amazonaws.com", "DescribeLogStreams"),
    ("ssm.amazonaws.com", "GetParameter"),
    ("ssm.amazonaws.com", "DescribeInstanceInformation"),
    ("ecs.amazonaws.com", "DescribeTasks"),
    ("ecr.amazonaws.com", "DescribeImages"),
    ("rds.amazonaws.com", "DescribeDBInstances"),
    ("dynamodb.amazonaws.com", "DescribeTable"),
    ("cloudformation.amazonaws.com", "DescribeStacks"),
    ("organizations.amazonaws.com", "DescribeAccount"),
];

/// (event source, event name, type and ARN prefix of the resource) of data events.
pub(super) const DATA_EVENTS: [(&str, &str, &str, &str); 4] = [
    (
        "s3.amazonaws.com",
        "PutObject",
        "AWS::S3::Object",
        "arn:aws:s3:::",
    ),
    (
        "s3.amazonaws.com",
        "GetObject",
        "AWS::S3::Object",
        "arn:aws:s3:::",
    ),
    (
        "lambda.amazonaws.com",
        "Invoke",
        "AWS::Lambda::Function",
        "arn:aws:lambda:::function:",
    ),
    (
        "dynamodb.amazonaws.com",
        "PutItem",
        "AWS::DynamoDB::Table",
        "arn:aws:dynamodb:::table/",
    ),
];

pub(super) const REGIONS: [&str; 17] = [
    "us-east-1",
    "eu-west-1",
    "us-west-2",
    "eu-central-1",
    "ap-southeast-2",
    "ap-northeast-1",
    "us-east-2",
    "eu-west-2",
    "ap-south-1",
    "sa-east-1",
    "ca-central-1",
    "eu-north-1",
    "eu-west-3",
    "ap-southeast-1",
    "ap-northeast-2",
    "me-south-1",
    "af-south-1",
];

pub(super) const ERROR_CODES: [&str; 14] = [
    "AccessDenied",
    "ThrottlingException",
    "Client.UnauthorizedOperation",
    "NoSuchEntityException",
    "ResourceNotFoundException",
    "InvalidParameterValue",
    "Client.RequestLimitExceeded",
    "ValidationException",
    "ConditionalCheckFailedException",
    "ExpiredTokenException",
    "LimitExceededException",
    "EntityAlreadyExistsException",
    "InternalFailure",
    "ServiceUnavailable",
];

pub(super) const AGENTS: [&str; 12] = [
    "Boto3/1.34.69 md/Botocore#1.34.69 ua/2.0 os/linux#5.10.210 md/arch#x86_64 lang/python#3.11.8",
    "aws-sdk-go-v2/1.26.0 os/linux lang/go#1.22.1 md/GOOS#linux md/GOARCH#arm64 api/ec2#1.152.0",
    "APN/1.0 HashiCorp/1.0 Terraform/1.7.5 (+https://www.terraform.io) aws-sdk-go-v2/1.25.3",
    "aws-cli/2.15.30 Python/3.11.8 Linux/6.1.79 exe/x86_64.amzn.2023 prompt/off",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 Chrome/131.0.0.0",
    "aws-sdk-java/2.25.16 Linux/5.10 OpenJDK_64-Bit_Server_VM/17.0.10 Java/17.0.10 vendor/Amazon",
    "kubelet-credential-provider/1.29 aws-sdk-go/1.50.0 (go1.21.7; linux; amd64)",
    "amazon-ssm-agent/3.2.2303.0 (go1.20.10; linux; amd64)",
    "aws-sdk-js/3.540.0 ua/2.0 os/linux#5.10 lang/js md/nodejs#20.11.1 \"bundled\"",
    "Datadog (integration) aws-sdk-ruby3/3.191.4 \\ ua/2.0",
    "console.amazonaws.com",
    "cloudformation.amazonaws.com",
];

/// Programs that call as an AWS service.
pub(super) const SERVICES: [&str; 8] = [
    "autoscaling.amazonaws.com",
    "ec2.amazonaws.com",
    "lambda.amazonaws.com",
    "ecs.amazonaws.com",
    "config.amazonaws.com",
    "cloudformation.amazonaws.com",
    "cloudtrail.amazonaws.com",
    "AWS Internal",
];

pub(super) const ROLES: [&str; 12] = [
    "ci-deployer",
    "platform-admin",
    "node-instance-role",
    "billing-export",
    "backup-runner",
    "AWSReservedSSO_Developer_0a1b2c3d4e5f6071",
    "log-shipper",
    "data-pipeline",
    "terraform-apply",
    "inventory-scanner",
    "AWSServiceRoleForAutoScaling",
    "web-frontend",
];

pub(super) const PEOPLE: [&str; 8] = [
    "alice", "bob", "carol", "dave", "erin", "frank", "grace", "zoë",
];

/// Keys of request parameters and response elements.
pub(super) const KEYS: [&str; 24] = [
    "instancesSet",
    "groupName",
    "resourceArn",
    "clientToken",
    "maxResults",
    "nextToken",
    "filterSet",
    "tagSpecificationSet",
    "subnetId",
    "description",
    "encryptionContext",
    "keyId",
    "roleArn",
    "durationSeconds",
    "items",
    "name",
    "value",
    "configuration",
    "policyName",
    "requestContext",
    "status",
    "createTime",
    "arn",
    "dryRun",
];

/// Keys that mean something at the top of a record, and nothing inside of parameters.
pub(super) const TRAPS: [(&str, &str); 8] = [
    ("eventName", "TrapNotTheEventName"),
    ("errorCode", "TrapNotAnError"),
    ("awsRegion", "trap-region-9"),
    ("recipientAccountId", "999999999999"),
    ("eventTime", "1999-12-31T23:59:59Z"),
    ("eventSource", "trap.amazonaws.com"),
    ("eventID", "trap-0000"),
    ("userAgent", "trap-agent"),
];

/// Values that need care: escapes, non-ASCII, documents in a string. Written as in JSON.
pub(super) const ODD_VALUES: [&str; 8] = [
    "line one\\nline two\\ttabbed",
    "he said \\\"no\\\"",
    "C:\\\\Users\\\\build\\\\agent",
    "caf\\u00e9 \\ud83d\\ude80",
    "Zürich – São Paulo – 東京",
    "{\\\"eventName\\\":\\\"NotThis\\\",\\\"errorCode\\\":\\\"NorThis\\\"}",
    "{\\\"Version\\\":\\\"2012-10-17\\\",\\\"Statement\\\":[{\\\"Effect\\\":\\\"Allow\\\"}]}",
    "\\/slashed\\/path\\u0026more",
];

pub(super) const WORDS: [&str; 16] = [
    "prod", "staging", "web", "api", "worker", "cache", "main", "blue", "green", "alpha", "batch",
    "edge", "core", "stream", "daily", "archive",
];
