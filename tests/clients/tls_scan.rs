//! What scanners say of TLS towards clients: `sslyze`, and `openssl s_client` by table.

use std::process::Command;

use tidegate_tests::TempDir;
use tidegate_tests::cell::{Down, Running};
use tidegate_tests::tools::{python, system};

use crate::succeed;

const SITE: &str = "[[sites]]\n[[sites.routes]]\nmatch = \"/\"\nrespond = { status = 200, body = \"hello\" }\n";

fn started() -> Running {
    Down::H2Tls.proxy(SITE, |setup| setup)
}

const SCAN: &str = r#"
import sys
from sslyze import Scanner, ScanCommand, ServerNetworkLocation, ServerScanRequest

place = ServerNetworkLocation(hostname="localhost", port=int(sys.argv[1]), ip_address="127.0.0.1")
left_out = (ScanCommand.HTTP_HEADERS, ScanCommand.CERTIFICATE_INFO)
scanner = Scanner()
scanner.queue_scans([ServerScanRequest(place, scan_commands={c for c in ScanCommand if c not in left_out})])
result = next(iter(scanner.get_results()))
assert result.scan_result is not None, result.connectivity_error_trace

def of(name):
    attempt = getattr(result.scan_result, name)
    assert attempt.result, (name, attempt.error_reason, attempt.error_trace)
    return attempt.result

for version in ["ssl_2_0", "ssl_3_0", "tls_1_0", "tls_1_1", "tls_1_2", "tls_1_3"]:
    accepted = of(version + "_cipher_suites").accepted_cipher_suites
    print(version, *sorted(suite.cipher_suite.name for suite in accepted))
print("curves", *sorted(curve.name for curve in of("elliptic_curves").supported_curves))
print("compression", of("tls_compression").supports_compression)
print("early data", of("tls_1_3_early_data").supports_early_data)
print("ccs injection", of("openssl_ccs_injection").is_vulnerable_to_ccs_injection)
print("heartbleed", of("heartbleed").is_vulnerable_to_heartbleed)
print("robot", of("robot").robot_result.name)
print("fallback", of("tls_fallback_scsv").supports_fallback_scsv)
print("secure renegotiation", of("session_renegotiation").supports_secure_renegotiation)
print("renegotiation by clients", of("session_renegotiation").is_vulnerable_to_client_renegotiation_dos)
print("extended master secret", of("tls_extended_master_secret").supports_ems_extension)
print("sessions by id", of("session_resumption").session_id_resumption_result.name)
"#;

/// The defaults: nothing old, nothing weak.
const CLEAN: &str = "\
ssl_2_0
ssl_3_0
tls_1_0
tls_1_1
tls_1_2 TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 \
TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256
tls_1_3 TLS_AES_128_GCM_SHA256 TLS_AES_256_GCM_SHA384 TLS_CHACHA20_POLY1305_SHA256
curves X25519 secp256r1 secp384r1
compression False
early data False
ccs injection False
heartbleed False
robot NOT_VULNERABLE_RSA_NOT_SUPPORTED
fallback True
secure renegotiation True
renegotiation by clients False
extended master secret True
sessions by id FULLY_SUPPORTED
";

#[test]
fn sslyze() {
    let (dir, running) = (TempDir::new(), started());
    let script = dir.write("scan.py", SCAN);
    let mut command = Command::new(python());
    command.arg(script).arg(running.proxy.address().port().to_string());
    assert_eq!(succeed(&mut command, dir.path()), CLEAN);
}

/// One connection of `openssl s_client`; what it says of it, and why it failed where it did.
fn connect(running: &Running, dir: &TempDir, options: &[&str]) -> String {
    let mut command = Command::new(system("openssl", "openssl"));
    // An end of the input would end it before the tickets of TLS 1.3 have come: it is told to wait
    // for the server's end, which follows the answer.
    let request = dir.write("request", "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    command.args(["s_client", "-ign_eof", "-connect", &running.proxy.address().to_string()]);
    command.args(["-servername", "localhost", "-CAfile"]).arg(running.proxy.dir().join("ca.pem")).args(options);
    let output = command
        .stdin(std::fs::File::open(request).expect("the request"))
        .current_dir(dir.path())
        .output()
        .expect("run openssl");
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

#[test]
fn what_openssl_is_offered() {
    let (dir, running) = (TempDir::new(), started());
    for (options, wanted) in [
        (&["-tls1_3"][..], "New, TLSv1.3, Cipher is TLS_AES_256_GCM_SHA384"),
        (&["-tls1_3", "-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256"], "Cipher is TLS_CHACHA20_POLY1305_SHA256"),
        (&["-tls1_2"], "New, TLSv1.2, Cipher is ECDHE-ECDSA-AES256-GCM-SHA384"),
        (&["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"], "Cipher is ECDHE-ECDSA-AES128-GCM-SHA256"),
        (&["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA256"], "handshake failure"),
        (&["-tls1_2", "-cipher", "AES128-GCM-SHA256:@SECLEVEL=0"], "handshake failure"),
        (&["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"], "alert handshake failure"),
        (&["-tls1", "-cipher", "ALL:@SECLEVEL=0"], "alert handshake failure"),
        (&["-groups", "X25519"], "Server Temp Key: X25519"),
        (&["-groups", "P-256"], "Server Temp Key: ECDH, prime256v1"),
        (&["-groups", "P-384"], "Server Temp Key: ECDH, secp384r1"),
        (&["-groups", "P-521"], "handshake failure"),
        (&["-tls1_2"], "Secure Renegotiation IS supported"),
        (&["-tls1_2", "-comp"], "Compression: NONE"),
        (&["-alpn", "h2,http/1.1"], "ALPN protocol: h2"),
        (&["-alpn", "http/1.1"], "ALPN protocol: http/1.1"),
        (&["-alpn", "spdy/3"], "no application protocol"),
        (&["-status"], "OCSP response: no response sent"),
        (&[], "Verify return code: 0 (ok)"),
    ] {
        let said = connect(&running, &dir, options);
        assert!(said.contains(wanted), "{options:?}: wanted {wanted:?}\n{said}");
    }
}

/// A session is resumed by ticket and, without tickets, from the cache, in both versions.
#[test]
fn sessions_are_resumed() {
    let (dir, running) = (TempDir::new(), started());
    for options in [&["-tls1_2"][..], &["-tls1_2", "-no_ticket"], &["-tls1_3"], &["-tls1_3", "-no_ticket"]] {
        let with = |more: &[&str]| connect(&running, &dir, &[options, more].concat());
        let first = with(&["-sess_out", "session.pem"]);
        assert!(first.contains("New, TLSv1."), "{options:?}: {first}");
        let second = with(&["-sess_in", "session.pem"]);
        assert!(second.contains("Reused, TLSv1."), "{options:?}: {second}");
    }
}
