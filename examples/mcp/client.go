package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// A client knows the URL of an MCP server, and the credentials that authorization
// servers have given to it. It finds out the rest by being refused.
type client struct {
	http     *http.Client
	endpoint string

	// credentials are kept by issuer: a resource could name any authorization
	// server, and a secret must reach none but the one that it is for (RFC 9728
	// §7.6).
	credentials map[string]credentials

	token string // the access token that it has, "" for none
	calls int
}

type credentials struct{ id, secret string }

// maxTokens is how often one call may fetch a token: without one the client is told
// the scopes of the route, and with it perhaps further ones. A server that is never
// content is left alone.
const maxTokens = 2

// call calls a method of the server and decodes what it returns.
func (c *client) call(ctx context.Context, method string, params, result any) error {
	c.calls++
	id := json.RawMessage(strconv.Itoa(c.calls))
	response, err := c.send(ctx, id, method, params)
	if err != nil {
		return err
	}
	kind, _, _ := mime.ParseMediaType(response.Header.Get("Content-Type"))
	if response.StatusCode != http.StatusOK || kind != "application/json" {
		return fmt.Errorf("%s: the server has answered %s, %s", method, response.Status, kind)
	}
	var got struct {
		ID     json.RawMessage `json:"id"`
		Result json.RawMessage `json:"result"`
		Error  *rpcError       `json:"error"`
	}
	switch err := decode(response, &got); {
	case err != nil:
		return err
	case !bytes.Equal(got.ID, id):
		return fmt.Errorf("%s: this is the answer to %s, not to %s", method, got.ID, id)
	case got.Error != nil:
		return fmt.Errorf("%s: %s (%d)", method, got.Error.Message, got.Error.Code)
	}
	return json.Unmarshal(got.Result, result)
}

// notify tells the server something that has no answer.
func (c *client) notify(ctx context.Context, method string) error {
	response, err := c.send(ctx, nil, method, nil)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusAccepted {
		return fmt.Errorf("%s: the server has answered %s", method, response.Status)
	}
	return nil
}

// send posts a message. Where the server asks for a token, or for one with other
// scopes, it gets that and tries again.
func (c *client) send(ctx context.Context, id json.RawMessage, method string, params any) (*http.Response, error) {
	var encoded json.RawMessage
	if params != nil {
		var err error
		if encoded, err = json.Marshal(params); err != nil {
			return nil, err
		}
	}
	body, err := json.Marshal(request{Version: "2.0", ID: id, Method: method, Params: encoded})
	if err != nil {
		return nil, err
	}
	for tokens := 0; ; tokens++ {
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.endpoint, bytes.NewReader(body))
		if err != nil {
			return nil, err
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Accept", "application/json, text/event-stream")
		if method != "initialize" {
			r.Header.Set("MCP-Protocol-Version", protocolVersion)
		}
		if c.token != "" {
			r.Header.Set("Authorization", "Bearer "+c.token)
		}
		response, err := c.http.Do(r)
		if err != nil {
			return nil, err
		}
		challenge, err := bearerChallenge(response.Header.Values("WWW-Authenticate"))
		switch {
		case err != nil:
			response.Body.Close()
			return nil, err
		case tokens < maxTokens && response.StatusCode == http.StatusUnauthorized && challenge != nil,
			tokens < maxTokens && response.StatusCode == http.StatusForbidden && challenge["error"] == "insufficient_scope":
			response.Body.Close()
			if err := c.authorize(ctx, challenge); err != nil {
				return nil, err
			}
		default:
			return response, nil
		}
	}
}

// authorize gets a token that answers a challenge.
func (c *client) authorize(ctx context.Context, challenge map[string]string) error {
	var resource struct {
		Resource             string   `json:"resource"`
		AuthorizationServers []string `json:"authorization_servers"`
	}
	if at := challenge["resource_metadata"]; !strings.HasPrefix(at, "https://") {
		return fmt.Errorf("the server does not say where its metadata are: resource_metadata is %q", at)
	} else if err := c.get(ctx, at, &resource); err != nil {
		return err
	}
	// Else a server could have a client fetch tokens for another one, and send them
	// here (RFC 9728 §3.3).
	if resource.Resource != c.endpoint {
		return fmt.Errorf("the metadata are of %q, and not of %s", resource.Resource, c.endpoint)
	}
	for _, issuer := range resource.AuthorizationServers {
		if known, ok := c.credentials[issuer]; ok {
			return c.fetchToken(ctx, issuer, known, challenge["scope"])
		}
	}
	return fmt.Errorf("the client is not registered at any of %q", resource.AuthorizationServers)
}

// fetchToken asks the issuer for a token by the client credentials grant (RFC 6749
// §4.4).
func (c *client) fetchToken(ctx context.Context, issuer string, own credentials, scope string) error {
	at, err := metadataURL(issuer)
	if err != nil {
		return err
	}
	var server struct {
		Issuer        string `json:"issuer"`
		TokenEndpoint string `json:"token_endpoint"`
	}
	if err := c.get(ctx, at, &server); err != nil {
		return err
	}
	if server.Issuer != issuer { // RFC 8414 §3.3
		return fmt.Errorf("the metadata are of %q, and not of %s", server.Issuer, issuer)
	}
	form := url.Values{"grant_type": {"client_credentials"}, "resource": {c.endpoint}} // RFC 8707
	if scope != "" {
		form.Set("scope", scope)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, server.TokenEndpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(url.QueryEscape(own.id), url.QueryEscape(own.secret)) // RFC 6749 §2.3.1
	response, err := c.http.Do(r)
	if err != nil {
		return err
	}
	var granted struct {
		Token string `json:"access_token"`
		Type  string `json:"token_type"`
		Error string `json:"error"`
	}
	switch err := decode(response, &granted); {
	case err != nil:
		return err
	case response.StatusCode != http.StatusOK:
		return fmt.Errorf("the token endpoint has answered %s: %s", response.Status, granted.Error)
	case granted.Token == "" || !strings.EqualFold(granted.Type, "Bearer"):
		return errors.New("the token endpoint has granted no bearer token")
	}
	c.token = granted.Token
	return nil
}

// metadataURL returns where the metadata of an authorization server are: the
// well-known path stands between host and path (RFC 8414 §3.1). A client for all
// the world would try OpenID Connect's place next.
func metadataURL(issuer string) (string, error) {
	at, err := url.Parse(issuer)
	if err != nil {
		return "", err
	}
	return at.Scheme + "://" + at.Host + "/.well-known/oauth-authorization-server" + strings.TrimSuffix(at.EscapedPath(), "/"), nil
}

// get fetches a document.
func (c *client) get(ctx context.Context, from string, into any) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return err
	}
	response, err := c.http.Do(r)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		response.Body.Close()
		return fmt.Errorf("GET %s: the answer is %s", from, response.Status)
	}
	return decode(response, into)
}

// decode reads the body of a response, and closes it.
func decode(response *http.Response, into any) error {
	defer response.Body.Close()
	if err := json.NewDecoder(io.LimitReader(response.Body, 1<<20)).Decode(into); err != nil {
		return fmt.Errorf("reading the answer of %s: %w", response.Request.URL, err)
	}
	return nil
}
