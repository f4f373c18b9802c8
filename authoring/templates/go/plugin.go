// Package plugin says who may open a WebSocket, and what may be said on it.
//
// The packages of wit_component are made of wit/ by `tidegate plugin build`, in build/go. What the
// proxy calls is named in hooks.go there: the functions of this package, with these signatures.
package plugin

import (
	"encoding/json"
	"fmt"

	authorizer "wit_component/tidegate_plugin_authorizer"
	log "wit_component/tidegate_plugin_log"
	messages "wit_component/tidegate_plugin_messages"
	request "wit_component/tidegate_plugin_request"
	types "wit_component/tidegate_plugin_types"

	wit "go.bytecodealliance.org/pkg/wit/types"
)

// The `config` table of the plugin.
var config struct {
	Origins  []string
	Words    []string
	Banned   []string
	Patience uint32
}

// What is known of each open tunnel: how many of its client's words were filtered.
var filtered = map[uint64]uint32{}

// LifecycleConfigure is called once in each instance, before anything else.
func LifecycleConfigure(document string) wit.Result[wit.Unit, string] {
	config.Patience = 3
	if err := json.Unmarshal([]byte(document), &config); err != nil {
		return wit.Err[wit.Unit, string](": " + err.Error())
	}
	lists := []struct {
		name  string
		items []string
	}{{"origins", config.Origins}, {"words", config.Words}, {"banned", config.Banned}}
	for _, list := range lists {
		for i, item := range list.items {
			if item == "" {
				return wit.Err[wit.Unit, string](fmt.Sprintf("/%s/%d: must not be empty", list.name, i))
			}
		}
	}
	return wit.Ok[wit.Unit, string](wit.Unit{})
}

func deny(why string) authorizer.Verdict {
	return authorizer.MakeVerdictDeny(types.LocalReply{
		Status: 403,
		Fields: []types.Field{{Name: "content-type", Value: []byte("text/plain")}},
		Body:   []byte(why),
	})
}

// AuthorizerAuthorize judges the current request.
func AuthorizerAuthorize() authorizer.Verdict {
	header := request.Get("origin")
	if header.IsNone() {
		return deny("origin missing\n")
	}
	origin := string(header.Some())
	for _, known := range config.Origins {
		if known == origin {
			return authorizer.MakeVerdictGrant(authorizer.Grant{
				Variables: []types.Variable{{Name: "visitor_origin", Value: origin}},
				Edits: []types.FieldEdit{
					{Operation: types.EditOperationSet, Name: "x-checked-by", Value: []byte("go")},
					{Operation: types.EditOperationRemove, Name: "x-internal"},
				},
			})
		}
	}
	return deny("origin not allowed\n")
}

// MessagesOpen says what the plugin wants to see of a tunnel.
func MessagesOpen(tunnel uint64) wit.Option[messages.Subscription] {
	filtered[tunnel] = 0
	return wit.Some(messages.Subscription{
		Interest: messages.InterestTextToUpstream | messages.InterestTextToClient,
		First:    wit.None[uint32](),
	})
}

// MessagesOnMessage judges one message.
func MessagesOnMessage(tunnel uint64, message messages.Message, data []byte) messages.Verdict {
	ofClient := message.Way == messages.WayToUpstream
	if ofClient && string(data) == "/count" {
		said := fmt.Sprintf("filtered: %d", filtered[tunnel])
		return messages.MakeVerdictInject(messages.Injection{
			Messages: []messages.Outgoing{{Way: messages.WayToClient, Text: true, Data: []byte(said)}},
		})
	}
	drop := false
	for i := range data {
		drop = drop || wordAt(config.Banned, data[i:]) > 0
	}
	found := uint32(1)
	if !drop {
		data, found = mask(data)
	}
	if found == 0 {
		return messages.MakeVerdictPass()
	}
	if ofClient {
		filtered[tunnel] += found
		if filtered[tunnel] > config.Patience {
			log.Write(log.LevelWarn, "a client was shown out")
			return messages.MakeVerdictClose(messages.Closing{Code: 1008, Reason: "mind your words"})
		}
	}
	if drop {
		return messages.MakeVerdictDrop()
	}
	return messages.MakeVerdictReplace(data)
}

// MessagesClose forgets a tunnel.
func MessagesClose(tunnel uint64) {
	delete(filtered, tunnel)
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// wordAt is the length of the word of the list that the text begins with, in any case; 0 where with none.
func wordAt(list []string, text []byte) int {
next:
	for _, word := range list {
		if len(word) > len(text) {
			continue
		}
		for i := range len(word) {
			if lower(word[i]) != lower(text[i]) {
				continue next
			}
		}
		return len(word)
	}
	return 0
}

// mask gives the text with its words masked, and how many there were.
func mask(text []byte) ([]byte, uint32) {
	masked := append([]byte(nil), text...)
	found := uint32(0)
	for i := 0; i < len(text); {
		length := wordAt(config.Words, text[i:])
		for j := range length {
			masked[i+j] = '*'
		}
		if length > 0 {
			found++
		}
		i += max(length, 1)
	}
	return masked, found
}
