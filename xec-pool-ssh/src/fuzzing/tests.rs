//! The properties on a few hundred texts each, in every test run.

use proptest::prelude::*;

use super::SHOWN;

/// Lines that are nearly right, of which some are.
fn known_hosts_line() -> impl Strategy<Value = String> {
    let marker = prop_oneof![4 => Just(""), 1 => Just("@revoked "), 1 => Just("@cert-authority "), 1 => Just("@x ")];
    let hosts =
        prop_oneof!["(!?(web1|web\\?|\\*|\\[web1\\]:2222|WEB1),?){1,3}", Just("|1|AAAA|AAAA".to_owned()), "\\PC{0,10}"];
    let key = prop_oneof![
        3 => Just(SHOWN.to_owned()),
        1 => Just(SHOWN.replace("YLio", "YLiA")),
        1 => Just("ssh-rsa AAAA".to_owned()),
        1 => "\\PC{0,10}",
    ];
    (marker, hosts, "[ \t]{1,2}", key, "(| comment|\r| #)").prop_map(|(a, b, c, d, e)| format!("{a}{b}{c}{d}{e}"))
}

proptest! {
    #[test]
    fn known_hosts_hold_what_they_promise(
        host in "(a@)?(web1|web2|::1)(:2222)?",
        lines in proptest::collection::vec(known_hosts_line(), 0..6),
    ) {
        super::known_hosts(format!("{host}\n{}", lines.join("\n")).as_bytes());
    }

    #[test]
    fn targets_hold_what_they_promise(text in "\\PC{0,20}|([a-z-]{0,3}@)?[\\[a-f0-9:.%-]{0,12}\\]?(:[0-9]{0,6})?") {
        super::target(&text);
    }

    #[test]
    fn quoting_holds_what_it_promises(text in "\\PC{0,40}|[\\x01-\\x7f]{0,40}|['\\\\\"$`!\n -]{0,20}") {
        super::quoting(&text);
    }

    #[test]
    fn private_keys_hold_what_they_promise(text in "(-----BEGIN (OPENSSH |RSA |)PRIVATE KEY-----\n)?[A-Za-z0-9+/=\n]{0,200}") {
        super::private_key(&text);
    }
}

#[cfg(feature = "serde")]
proptest! {
    #[test]
    fn configurations_hold_what_they_promise(
        host in "[a-z0-9.:@-]{0,12}",
        field in "(password|passphrase|privateKey|port|pool|controlPersist|hostKey|agent|x)",
        value in "(\"hunter2-hunter2\"|[0-9]{1,6}|true|null|\\[\"hunter2-hunter2\"\\]|\\{\"hunter2-hunter2\":1\\})",
    ) {
        super::config(&format!("{{\"host\":\"{host}\",\"username\":\"u\",\"password\":\"s3cret-s3cret\",\"{field}\":{value}}}"));
    }

    #[test]
    fn control_words_hold_what_they_promise(text in "\\PC{0,20}|[0-9smhdwSMHDW%${}~/]{0,20}") {
        super::control(&text);
    }
}
