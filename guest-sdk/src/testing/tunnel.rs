//! A tunnel, for tests of hook `messages`.

use super::{Request, Response, with_response};
use crate::Messages;
use crate::messages::{Message, Subscription, Verdict, Way};

/// An open tunnel, as [`crate::Messages`] sees it: the plugin is asked only about what it
/// subscribed to, and told of no more than it wants to see. It ends when this is dropped.
#[derive(Debug)]
pub struct Tunnel<'a, P: Messages> {
    plugin: &'a mut P,
    subscription: Subscription,
    number: u64,
}

impl<'a, P: Messages> Tunnel<'a, P> {
    /// Open tunnel 1 by this request; none where the plugin does not want to look.
    pub fn open(plugin: &'a mut P, request: &Request) -> Option<Self> {
        Self::numbered(plugin, request, 1)
    }

    /// Open a tunnel of this number.
    pub fn numbered(plugin: &'a mut P, request: &Request, number: u64) -> Option<Self> {
        let subscription = with_response(request, &Response::new(101), || plugin.open(number))?;
        Some(Self { plugin, subscription, number })
    }

    /// What the plugin subscribed to.
    pub fn subscription(&self) -> Subscription {
        self.subscription
    }

    /// The plugin's answer to a text of the client.
    pub fn client_says(&mut self, text: &str) -> Verdict {
        self.message(Way::ToUpstream, true, text.as_bytes())
    }

    /// The plugin's answer to a text of the upstream.
    pub fn upstream_says(&mut self, text: &str) -> Verdict {
        self.message(Way::ToClient, true, text.as_bytes())
    }

    /// The plugin's answer to a message; [`Verdict::Pass`] where it did not subscribe to it.
    pub fn message(&mut self, way: Way, text: bool, data: &[u8]) -> Verdict {
        if !self.subscription.wants(way, text) {
            return Verdict::Pass;
        }
        let mut shown = self.subscription.first.and_then(|n| usize::try_from(n).ok()).unwrap_or(data.len());
        shown = shown.min(data.len());
        // Text is cut before a character that does not fit.
        while text && data.get(shown).is_some_and(|byte| byte & 0xC0 == 0x80) {
            shown -= 1;
        }
        let message = Message { way, text, length: u64::try_from(data.len()).ok() };
        self.plugin.on_message(self.number, message, data.get(..shown).unwrap_or(data).to_vec())
    }
}

impl<P: Messages> Drop for Tunnel<'_, P> {
    fn drop(&mut self) {
        self.plugin.close(self.number);
    }
}
