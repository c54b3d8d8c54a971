//! Configurations, by hand and from text.

use super::*;
use crate::KeySource;

fn builder(target: &str) -> SshConfigBuilder {
    SshConfig::builder(target.parse().unwrap())
}

fn refused(builder: SshConfigBuilder) -> String {
    builder.build().unwrap_err().to_string()
}

fn key_path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/keys").join(name)
}

#[test]
fn the_defaults_are_those_of_ssh_and_of_a_server_s_limits() {
    let config = builder("deploy@web1").build().unwrap();
    assert_eq!((config.user(), config.target().host(), config.target().port()), ("deploy", "web1", 22));
    assert!(config.auth_methods().is_empty());
    assert_eq!(config.host_key(), &HostKeyPolicy::Strict);
    let files: Vec<_> = config.known_hosts().iter().map(|file| file.display().to_string()).collect();
    assert!(files[0].ends_with("/.ssh/known_hosts"), "{files:?}");
    assert_eq!(files[1], "/etc/ssh/ssh_known_hosts");
    let seconds = [config.connect_timeout(), config.banner_timeout(), config.auth_timeout()].map(|t| t.as_secs());
    assert_eq!(seconds, [10, 10, 30]);
    assert_eq!(config.keepalive_interval().map(|t| t.as_secs()), Some(15));
    assert_eq!((config.keepalive_max(), config.inactivity_timeout().map(|t| t.as_secs())), (3, Some(75)));
}

#[test]
fn methods_keep_their_order_and_keys_come_before_the_password() {
    let config = builder("deploy@web1")
        .password("hunter2")
        .private_key("~/.ssh/one")
        .private_key_text("-----BEGIN")
        .passphrase("open sesame")
        .auth(AuthMethod::agent_at("~/agent"))
        .build()
        .unwrap();
    let home = std::env::home_dir().unwrap();
    let [agent, file, text, password] = config.auth_methods() else { panic!("four were set") };
    assert!(matches!(agent, AuthMethod::Agent { socket: Some(socket) } if *socket == home.join("agent")));
    assert!(matches!(
        file,
        AuthMethod::Key { source: KeySource::File(path), passphrase: Some(_) } if *path == home.join(".ssh/one")
    ));
    assert!(matches!(text, AuthMethod::Key { source: KeySource::Text(_), passphrase: Some(_) }));
    assert!(matches!(password, AuthMethod::Password(_)));
    let shown = format!("{config:?}");
    assert!(!shown.contains("hunter2") && !shown.contains("sesame") && !shown.contains("BEGIN"), "{shown}");
}

#[test]
fn what_cannot_work_is_refused_and_its_field_named() {
    let zero = Duration::ZERO;
    let cases = [
        (builder("a@h").username("-l"), "`username` cannot be used"),
        (builder("a@h").connect_timeout(zero), "`connect_timeout` is 0; it must be longer"),
        (builder("a@h").banner_timeout(zero), "`banner_timeout` is 0; it must be longer"),
        (builder("a@h").auth_timeout(zero), "`auth_timeout` is 0; it must be longer"),
        (builder("a@h").keepalive_interval(zero), "`keepalive_interval` is 0; it must be longer"),
        (builder("a@h").keepalive_max(0), "`keepalive_max` is 0; it must be longer"),
        (
            builder("a@h").inactivity_timeout(Duration::from_secs(15)),
            "`inactivity_timeout` (15s) must be longer than `keepalive_interval` (15s)",
        ),
        (
            builder("a@h").host_key(HostKeyPolicy::Pinned(vec!["abc".to_owned()])),
            "`host_key` pins \"abc\", which is no fingerprint; write it as `ssh-keygen -l` prints it: SHA256:…",
        ),
        (builder("a@h").known_hosts::<&str>([]), "`known_hosts` names no file, and the host key policy needs one"),
        (builder("a@h").passphrase("x"), "`passphrase` is given without `private_key`"),
        (
            builder("a@h").private_key("~root/key"),
            "`private_key` begins with '~' (\"~root/key\"), which can only be one's own home, and that must be known",
        ),
    ];
    for (builder, text) in cases {
        assert_eq!(refused(builder), text);
    }
    let quiet = builder("a@h").keepalive_interval(None).inactivity_timeout(None).build().unwrap();
    assert_eq!((quiet.keepalive_interval(), quiet.inactivity_timeout()), (None, None));
    builder("a@h").known_hosts::<&str>([]).host_key(HostKeyPolicy::DangerAcceptAnyHostKey).build().unwrap();
}

#[test]
fn without_a_username_the_environment_names_one_that_is_a_name() {
    let user = |set: &[(&str, &str)]| {
        let find =
            |name: &str| set.iter().find(|(variable, _)| *variable == name).map(|(_, value)| (*value).to_owned());
        builder::local_user(find)
    };
    assert_eq!(user(&[("USER", "ann"), ("LOGNAME", "bob")]), Some("ann".to_owned()));
    assert_eq!(user(&[("USER", ""), ("LOGNAME", "bob")]), Some("bob".to_owned()));
    assert_eq!(user(&[("USER", "-l")]), None);
    assert_eq!(user(&[]), None);
    assert!(SshConfigError::NoUser.to_string().starts_with("`username` is missing"));
}

#[tokio::test]
async fn keys_are_read_once_and_only_a_success_is_kept() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("id");
    let config = builder("deploy@web1").private_key(&path).build().unwrap();
    let missing = config.credentials().await.unwrap_err().to_string();
    assert!(missing.starts_with("there is no key file"), "{missing}");
    std::fs::copy(key_path("id_ed25519"), &path).unwrap();
    let first = config.credentials().await.unwrap();
    std::fs::remove_file(&path).unwrap();
    assert!(Arc::ptr_eq(&first, &config.clone().credentials().await.unwrap()));
}

#[tokio::test]
async fn a_bad_key_is_found_before_anything_is_dialled() {
    let config = builder("deploy@web1").password("x").private_key(key_path("id_encrypted")).build().unwrap();
    let error = config.credentials().await.unwrap_err().to_string();
    assert!(error.contains("tests/keys/id_encrypted is encrypted"), "{error}");
}

#[test]
fn times_that_overflow_a_clock_are_refused() {
    let max = Duration::MAX;
    for (field, config) in [
        ("connect_timeout", builder("a@h").connect_timeout(max)),
        ("banner_timeout", builder("a@h").banner_timeout(max)),
        ("auth_timeout", builder("a@h").auth_timeout(max)),
        ("keepalive_interval", builder("a@h").keepalive_interval(max)),
        ("inactivity_timeout", builder("a@h").inactivity_timeout(max)),
    ] {
        let error = refused(config);
        assert!(error.starts_with(&format!("`{field}` is ")) && error.contains("the longest is"), "{error}");
    }
}

#[cfg(feature = "serde")]
mod from_json {
    use super::*;

    fn read(json: &str) -> Result<SshConfig, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn the_seed_s_object_means_what_the_seed_says() {
        let config =
            read(r#"{"host": "server.example.com", "username": "deploy", "privateKey": "~/.ssh/id_rsa"}"#).unwrap();
        assert_eq!(config.target().to_string(), "deploy@server.example.com");
        let home = std::env::home_dir().unwrap();
        assert!(matches!(
            config.auth_methods(),
            [AuthMethod::Key { source: KeySource::File(path), passphrase: None }] if *path == home.join(".ssh/id_rsa")
        ));
    }

    /// The object of every example of the seed page that makes a connection, in its order: `validator` is code, and
    /// `controlMaster` has a test of its own.
    #[test]
    fn every_object_of_the_seed_is_read() {
        let objects = [
            r#"{"host": "server.com", "username": "user", "pool": {"min": 2, "max": 10, "idle": 60000,
                "acquire": 10000, "evictionRun": 30000, "validate": true}}"#,
            r#"{"host": "server.com", "username": "user", "pool": {"validate": true, "validateInterval": 10000,
                "validateOnBorrow": true, "validateOnReturn": false}}"#,
            r#"{"host": "web1.example.com", "username": "deploy", "pool": {"min": 1, "max": 3}}"#,
            r#"{"host": "prod.example.com", "username": "deploy", "pool": {"min": 2, "max": 5, "idle": 30000}}"#,
            r#"{"host": "server.com", "username": "user"}"#,
            r#"{"host": "server.com", "username": "user", "pool": {"max": 5, "queueSize": 100, "queueTimeout": 5000,
                "queuePriority": "fifo"}}"#,
            r#"{"host": "server.com", "username": "user", "pool": {"metrics": true, "metricsInterval": 5000}}"#,
            r#"{"host": "server.com", "username": "user", "pool": {"max": 5, "retryFailed": true, "retryAttempts": 3,
                "retryDelay": 1000, "recreateOnError": true}}"#,
            r#"{"host": "server.com", "username": "user", "pool": {"circuitBreaker": {"enabled": true, "threshold": 5,
                "timeout": 30000, "resetTimeout": 60000}}}"#,
            r#"{"host": "server.com", "pool": {"max": 1000}, "username": "user"}"#,
            r#"{"host": "server.com", "pool": {"validate": false}, "username": "user"}"#,
        ];
        let configs = objects.map(|json| read(json).unwrap());
        assert_eq!((configs[0].pool().min_connections(), configs[0].pool().max_connections()), (2, 10));
        assert_eq!(configs[3].pool().max_connections(), 5);
        let [.., mut breaker, _, _] = configs;
        assert!(breaker.pool_mut().take_section("circuitBreaker").is_some());
        let error = read(r#"{"host": "a@h", "pool": {"min": 6, "max": 5}}"#).unwrap_err();
        assert!(error.starts_with("min_connections (6) is more than max_connections (5)"), "{error}");
    }

    #[test]
    fn every_field_is_read_by_its_name_and_by_the_seed_s() {
        let ours = r#"{"host": "web1", "port": 2222, "username": "a", "private_key": ["k1", "k2"], "passphrase": "p",
            "password": "w", "agent": true, "host_key": "accept-new", "known_hosts": "kh", "connect_timeout": "1s",
            "banner_timeout": 2000, "auth_timeout": "3s", "keepalive_interval": "4s", "keepalive_max": 5,
            "inactivity_timeout": "1m", "control_master": false, "control_path": "~/%C", "control_persist": "10m"}"#;
        let seed = r#"{"host": "a@web1:2222", "privateKey": ["k1", "k2"], "passphrase": "p",
            "password": "w", "agent": true, "hostKey": "accept-new", "knownHosts": ["kh"], "connectTimeout": 1000,
            "bannerTimeout": "2s", "authTimeout": 3000, "keepaliveInterval": 4000, "keepaliveMax": 5,
            "inactivityTimeout": 60000, "controlMaster": "no", "controlPath": "~/%C", "controlPersist": 600}"#;
        let shown = [ours, seed].map(|json| format!("{:?}", read(json).unwrap()));
        assert_eq!(shown[0], shown[1]);
        let config = read(ours).unwrap();
        assert_eq!(config.auth_methods().len(), 4);
        assert_eq!(config.host_key(), &HostKeyPolicy::AcceptNew);
        assert_eq!(config.known_hosts(), [PathBuf::from("kh")]);
        assert_eq!(config.keepalive_max(), 5);
        let times = [Some(config.connect_timeout()), Some(config.auth_timeout()), config.keepalive_interval()];
        assert_eq!(times.map(|time| time.unwrap().as_secs()), [1, 3, 4]);
    }

    #[test]
    fn zero_silence_is_no_limit() {
        let config = read(r#"{"host": "a@h", "keepaliveInterval": 0, "inactivityTimeout": 0}"#).unwrap();
        assert_eq!((config.keepalive_interval(), config.inactivity_timeout()), (None, None));
    }

    #[test]
    fn a_private_key_may_be_the_key_itself() {
        let key = serde_json::to_string(include_str!("../../tests/keys/id_ed25519")).unwrap();
        let config = read(&format!(r#"{{"host": "a@h", "privateKey": {key}}}"#)).unwrap();
        assert!(matches!(config.auth_methods(), [AuthMethod::Key { source: KeySource::Text(_), .. }]));
    }

    #[test]
    fn a_policy_can_pin() {
        let pin = "SHA256:uNiVztksCsDhcc0u9e8BgrJXVGLBOuHKjEnPh8eI6fU";
        let config = read(&format!(r#"{{"host": "a@h", "hostKey": {{"pinned": ["{pin}"]}}}}"#)).unwrap();
        assert_eq!(config.host_key(), &HostKeyPolicy::Pinned(vec![pin.to_owned()]));
    }

    #[test]
    fn what_cannot_work_names_its_field() {
        let cases = [
            (r#"{"host": "a@h", "hots": 1}"#, "unknown field `hots`"),
            (r#"{"username": "a"}"#, "missing field `host`"),
            (r#"{"host": "-oProxyCommand=x"}"#, "`host` cannot be used: the host \"-oProxyCommand=x\" begins with '-'"),
            (r#"{"host": "a@h", "port": 0}"#, "`port` cannot be used: the port \"0\" is not a number"),
            (r#"{"host": "a@h", "port": 65536}"#, "`port` cannot be used: the port \"65536\" is not a number"),
            (r#"{"host": "a@h", "username": "b"}"#, "`username` is given twice, as \"a\" and as \"b\""),
            (r#"{"host": "a@h:1", "port": 2}"#, "`port` is given twice, as \"1\" and as \"2\""),
            (
                r#"{"host": "a@h", "privateKey": 7}"#,
                "`privateKey` must be a path, the text of a key, or a list of them",
            ),
            (r#"{"host": "a@h", "knownHosts": {}}"#, "`knownHosts` must be a path or a list of paths"),
            (r#"{"host": "a@h", "hostKey": "lax"}"#, "unknown variant `lax`"),
            (r#"{"host": "a@h", "connectTimeout": "soon"}"#, "\"soon\" is no time"),
            (r#"{"host": "a@h", "connectTimeout": "99999999999999999999s"}"#, "\"99999999999999999999s\" is no time"),
            (r#"{"host": "a@h", "authTimeout": 0}"#, "`auth_timeout` is 0"),
            (
                r#"{"host": "a@h", "controlMaster": true}"#,
                "`controlMaster` is on, and multiplexing one connection is not",
            ),
            (r#"{"host": "a@h", "controlMaster": "auto"}"#, "`controlMaster` is on, and multiplexing one connection"),
            (r#"{"host": "a@h", "controlPath": "%z"}"#, "`controlPath` is \"%z\": a '%' must be followed by"),
            (r#"{"host": "a@h", "controlPersist": "soon"}"#, "`controlPersist` is \"soon\": it is yes, no"),
        ];
        for (json, text) in cases {
            let error = read(json).unwrap_err();
            assert!(error.starts_with(text), "{json}: {error}");
        }
    }

    #[test]
    fn a_secret_of_the_wrong_type_is_not_shown() {
        for json in [
            r#"{"host": "a@h", "password": 73501}"#,
            r#"{"host": "a@h", "passphrase": ["73501"]}"#,
            r#"{"host": "a@h", "privateKey": {"x": "73501"}}"#,
        ] {
            let error = read(json).unwrap_err();
            assert!(!error.contains("73501"), "{error}");
        }
    }
}
