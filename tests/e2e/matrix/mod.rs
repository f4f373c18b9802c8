//! Every version of HTTP towards clients, to every version towards peers, with TLS and without:
//! the same expectations for all of them. What maps to what stands in `docs/bridge.md`.

mod flow;
mod inspected;
mod plain;
mod tunnels;

use tidegate_tests::cell::{Cell, Down, Up};

/// Each expectation as a test of each cell: `matrix::h2_tls_to_h1::tunnels_echo`.
macro_rules! cells {
    ($($name:ident: $down:ident, $up:ident;)+) => {$(
        mod $name {
            use super::{Cell, Down, Up, flow, inspected, plain, tunnels};

            const CELL: Cell = Cell { down: Down::$down, up: Up::$up };

            expectations! {
                a_handshake => tunnels::a_handshake,
                a_refused_handshake => tunnels::a_refused_handshake,
                a_wrong_accept => tunnels::a_wrong_accept,
                messages_of_every_size => tunnels::messages_of_every_size,
                early_bytes => tunnels::early_bytes,
                the_client_ends => tunnels::the_client_ends,
                the_peer_ends => tunnels::the_peer_ends,
                half_close => tunnels::half_close,
                the_client_resets => tunnels::the_client_resets,
                the_peer_resets => tunnels::the_peer_resets,
                messages_that_a_plugin_sees => inspected::messages_that_a_plugin_sees,
                a_plugin_ends_the_tunnel => inspected::a_plugin_ends_the_tunnel,
                a_slow_client => flow::a_slow_client,
                a_slow_peer => flow::a_slow_peer,
                beside_a_stuck_client => flow::beside_a_stuck_client,
                beside_a_stuck_peer => flow::beside_a_stuck_peer,
                requests => plain::requests,
                large_bodies => plain::large_bodies,
                trailers => plain::trailers,
                an_early_answer => plain::an_early_answer,
                a_body_that_breaks_off => plain::a_body_that_breaks_off,
            }
        }
    )+};
}

macro_rules! expectations {
    ($($name:ident => $run:path,)+) => {$(
        #[test]
        fn $name() {
            $run(CELL);
        }
    )+};
}

cells! {
    h1_to_h1: H1, H1;
    h1_to_h1_tls: H1, H1Tls;
    h1_to_h2: H1, H2;
    h1_to_h2_tls: H1, H2Tls;
    h1_tls_to_h1: H1Tls, H1;
    h1_tls_to_h1_tls: H1Tls, H1Tls;
    h1_tls_to_h2: H1Tls, H2;
    h1_tls_to_h2_tls: H1Tls, H2Tls;
    h2_to_h1: H2, H1;
    h2_to_h1_tls: H2, H1Tls;
    h2_to_h2: H2, H2;
    h2_to_h2_tls: H2, H2Tls;
    h2_tls_to_h1: H2Tls, H1;
    h2_tls_to_h1_tls: H2Tls, H1Tls;
    h2_tls_to_h2: H2Tls, H2;
    h2_tls_to_h2_tls: H2Tls, H2Tls;
    h3_to_h1: H3, H1;
    h3_to_h1_tls: H3, H1Tls;
    h3_to_h2: H3, H2;
    h3_to_h2_tls: H3, H2Tls;
}
