//! Writes `userIdentity`, one form for each of the ten kinds that CloudTrail documents.

use super::cast::{Caller, IdentityKind};

pub(super) fn text(out: &mut Vec<u8>, parts: &[&str]) {
    for part in parts {
        out.extend_from_slice(part.as_bytes());
    }
}

/// Appends the object; `date` is the UTC day (`2026-01-05`) the caller's session began.
pub(super) fn write(out: &mut Vec<u8>, caller: &Caller, date: &str) {
    let Caller {
        account, name, id, ..
    } = caller;
    match caller.kind {
        IdentityKind::AssumedRole => assumed_role(out, caller, date),
        IdentityKind::AwsService => text(
            out,
            &[r#"{"type":"AWSService","invokedBy":""#, name, r#""}"#],
        ),
        IdentityKind::IamUser => iam_user(out, caller),
        IdentityKind::Root => {
            let parts = [
                r#"{"type":"Root","principalId":""#,
                account,
                r#"","arn":"arn:aws:iam::"#,
                account,
                r#":root","accountId":""#,
                account,
                r#"","accessKeyId":""}"#,
            ];
            text(out, &parts);
        }
        IdentityKind::FederatedUser => federated_user(out, caller, date),
        IdentityKind::AwsAccount => {
            let parts = [
                r#"{"type":"AWSAccount","principalId":"AIDA"#,
                id,
                r#"","accountId":"444455556666"}"#,
            ];
            text(out, &parts);
        }
        IdentityKind::WebIdentityUser => external(out, caller, "WebIdentityUser"),
        IdentityKind::SamlUser => external(out, caller, "SAMLUser"),
        IdentityKind::IdentityCenterUser => {
            let parts = [
                r#"{"type":"IdentityCenterUser","accountId":""#,
                account,
                r#"","onBehalfOf":{"userId":""#,
                id,
                r#"","identityStoreArn":"arn:aws:identitystore::"#,
                account,
                r#":identitystore/d-9067"},"credentialId":""#,
                id,
                r#""}"#,
            ];
            text(out, &parts);
        }
        IdentityKind::Unknown => {
            let parts = [
                r#"{"type":"Unknown","principalId":""#,
                id,
                r#"","accountId":""#,
                account,
                r#"","userName":"HIDDEN_DUE_TO_SECURITY_REASONS"}"#,
            ];
            text(out, &parts);
        }
    }
}

fn iam_user(out: &mut Vec<u8>, caller: &Caller) {
    let Caller {
        account, name, id, ..
    } = caller;
    let parts = [
        r#"{"type":"IAMUser","principalId":"AIDA"#,
        id,
        r#"","arn":"arn:aws:iam::"#,
        account,
        ":user/",
        name,
        r#"","accountId":""#,
        account,
        r#"","accessKeyId":"AKIA"#,
        id,
        r#"","userName":""#,
        name,
        r#""}"#,
    ];
    text(out, &parts);
}

fn assumed_role(out: &mut Vec<u8>, caller: &Caller, date: &str) {
    let Caller {
        account,
        name,
        id,
        session,
        ..
    } = caller;
    let parts = [
        r#"{"type":"AssumedRole","principalId":"AROA"#,
        id,
        ":",
        session,
        r#"","arn":"arn:aws:sts::"#,
        account,
        ":assumed-role/",
        name,
        "/",
        session,
        r#"","accountId":""#,
        account,
        r#"","accessKeyId":"ASIA"#,
        id,
        r#"","sessionContext":{"sessionIssuer":{"type":"Role","principalId":"AROA"#,
        id,
        r#"","arn":"arn:aws:iam::"#,
        account,
        ":role/",
        name,
        r#"","accountId":""#,
        account,
        r#"","userName":""#,
        name,
        r#""},"webIdFederationData":{},"attributes":{"creationDate":""#,
        date,
        r#"T00:00:00Z","mfaAuthenticated":"false"}}}"#,
    ];
    text(out, &parts);
}

fn federated_user(out: &mut Vec<u8>, caller: &Caller, date: &str) {
    let Caller {
        account, name, id, ..
    } = caller;
    let parts = [
        r#"{"type":"FederatedUser","principalId":""#,
        account,
        ":",
        name,
        r#"","arn":"arn:aws:sts::"#,
        account,
        ":federated-user/",
        name,
        r#"","accountId":""#,
        account,
        r#"","accessKeyId":"ASIA"#,
        id,
        r#"","sessionContext":{"sessionIssuer":{"type":"IAMUser","principalId":"AIDA"#,
        id,
        r#"","arn":"arn:aws:iam::"#,
        account,
        r#":user/broker","accountId":""#,
        account,
        r#"","userName":"broker"},"attributes":{"creationDate":""#,
        date,
        r#"T00:00:00Z","mfaAuthenticated":"false"}}}"#,
    ];
    text(out, &parts);
}

fn external(out: &mut Vec<u8>, caller: &Caller, kind: &str) {
    let Caller {
        name, id, session, ..
    } = caller;
    let parts = [
        r#"{"type":""#,
        kind,
        r#"","principalId":""#,
        name,
        ":",
        id,
        ":",
        session,
        r#"","userName":""#,
        session,
        r#"","identityProvider":""#,
        name,
        r#""}"#,
    ];
    text(out, &parts);
}
