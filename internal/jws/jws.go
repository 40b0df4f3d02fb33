// Package jws reads the compact form of a JWS (RFC 7515 §7.1), and says what a
// token is that is not one. It verifies nothing.
package jws

import (
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"unsafe"

	"github.com/bearerguard/bearerguard/internal/strictjson"
)

// Each of these says that a token is something else than a JWS that can be read
// here. Any other error of [Parse] says that it is malformed.
var (
	ErrOpaque        = errors.New("it has no parts")
	ErrEncrypted     = errors.New("it has the five parts of a JWE")
	ErrSerialization = errors.New("it is a JSON object")
	ErrCritical      = errors.New("its header has crit")
	ErrUnencoded     = errors.New("its header has b64")
	ErrCompressed    = errors.New("its header has zip")
	ErrNested        = errors.New("its header says that its content is a JWT")
)

// A Compact is a JWS in compact form, taken apart. Nothing in it can be believed
// before the signature is good.
type Compact struct {
	Header
	Payload      string // decoded
	SigningInput string // the first two parts and the dot between them
	Signature    []byte
}

// A Header is what may be used of the header.
type Header struct {
	Algorithm string // "alg"
	KeyID     string // "kid", "" where there is none
	Type      string // "typ" as a media type in lower case, "" where there is none
}

// A Room is memory for what nobody needs once a token has been checked: with one that
// is used again and again, it is not allocated for each.
type Room struct {
	members   [8]strictjson.Member // of the header; few have more
	signature [512]byte            // RSA with 4096 bits

	// The header that was read last, as it was written. All tokens that an issuer signs
	// with one key have the same, so the next token's is nearly always this one again.
	latest  Header
	written string
}

// Parse takes a token apart. The caller has bounded its length.
func Parse(token string) (Compact, error) { return new(Room).Parse(token) }

// Parse is the function [Parse], for a token whose signature is not looked at any more
// when the room is used again.
func (r *Room) Parse(token string) (c Compact, err error) {
	header, payload, signature, err := split(token)
	if err != nil {
		return Compact{}, err
	}
	c.SigningInput = token[:len(header)+1+len(payload)]
	if c.Header, err = r.readHeader(header); err != nil {
		return Compact{}, err
	}
	// Claims are remembered, and must not hold on to what makes them a token: so what is
	// said has memory of its own.
	said, err := decode(make([]byte, 0, strictBase64.DecodedLen(len(payload))), "payload", payload)
	if err != nil {
		return Compact{}, err
	}
	c.Payload = view(said)
	if c.Signature, err = decode(r.signature[:0], "signature", signature); err != nil {
		return Compact{}, err
	}
	return c, nil
}

// Clear takes the token out of the room. Its header is no secret, and stays.
func (r *Room) Clear() {
	clear(r.members[:])
	clear(r.signature[:])
}

// readHeader reads a header that is encoded.
func (r *Room) readHeader(encoded string) (Header, error) {
	if encoded == r.written && encoded != "" {
		return r.latest, nil
	}
	text, err := decode(nil, "header", encoded)
	if err != nil {
		return Header{}, err
	}
	object, err := strictjson.ParseObjectIn(r.members[:], view(text))
	if err != nil {
		return Header{}, fmt.Errorf("its header is %w", err)
	}
	header, err := newHeader(&object)
	if err != nil {
		return Header{}, err
	}
	const usual = 512 // bytes; longer ones are not kept
	if len(encoded) <= usual {
		r.latest, r.written = header, strings.Clone(encoded)
	}
	return header, nil
}

// view returns text as a string without copying it. It is not changed any more.
func view(text []byte) string { return unsafe.String(unsafe.SliceData(text), len(text)) }

// split cuts a token into exactly three parts (RFC 7515 §5.2).
func split(token string) (header, payload, signature string, err error) {
	header, rest, _ := strings.Cut(token, ".")
	payload, signature, three := strings.Cut(rest, ".")
	if three && !strings.Contains(signature, ".") && !strings.HasPrefix(header, "{") {
		return header, payload, signature, nil
	}
	switch dots := strings.Count(token, "."); {
	case token == "":
		err = errors.New("it is empty")
	case token[0] == '{':
		err = ErrSerialization
	case dots == 0:
		err = ErrOpaque
	case dots == 4:
		err = ErrEncrypted
	default:
		err = fmt.Errorf("it has %d parts instead of three", dots+1)
	}
	return "", "", "", err
}

var strictBase64 = base64.RawURLEncoding.Strict()

// decode appends what a part says in canonical base64url: no padding, no stray bits in
// the last character, and no line breaks (RFC 7515 §2). So one text is the only one for its
// bytes, and a token cannot be altered without altering what it says.
func decode(to []byte, name, part string) ([]byte, error) {
	before := len(to)
	decoded, err := strictBase64.AppendDecode(to, []byte(part))
	// The decoder of the standard library skips line breaks, and then makes less than so
	// many characters are worth. Only one character more than whole groups is worth
	// nothing, so such a length is refused by itself.
	if err != nil || len(part)%4 == 1 || len(decoded)-before != strictBase64.DecodedLen(len(part)) {
		return nil, fmt.Errorf("its %s is not base64url without padding", name)
	}
	return decoded, nil
}

// newHeader takes from the header what may be used of it. Keys and addresses of
// keys in it ("jwk", "jku", "x5c", "x5u", "x5t") are what an attacker would put
// there, and are not looked at (RFC 8725 §3.10).
func newHeader(header *strictjson.Object) (h Header, err error) {
	// Nothing critical is understood, so whatever is in crit refuses the token
	// (RFC 7515 §4.1.11).
	switch {
	case header.Has("crit"):
		return Header{}, ErrCritical
	case header.Has("b64"):
		return Header{}, ErrUnencoded
	case header.Has("zip"):
		return Header{}, ErrCompressed
	}
	var algErr, kidErr, typErr, ctyErr error
	var typ, cty string
	h.Algorithm, algErr = header.OptionalText("alg")
	h.KeyID, kidErr = header.OptionalText("kid")
	typ, typErr = header.OptionalText("typ")
	cty, ctyErr = header.OptionalText("cty")
	if err := cmp.Or(algErr, kidErr, typErr, ctyErr); err != nil {
		return Header{}, fmt.Errorf("its header: %w", err)
	}
	if h.Algorithm == "" {
		return Header{}, errors.New("its header has no alg")
	}
	if mediaType(cty) == "jwt" { // RFC 7519 §5.2
		return Header{}, ErrNested
	}
	h.Type = mediaType(typ)
	return h, nil
}

// mediaType returns a media type in the form in which they are compared: lower
// case, and without "application/" where nothing else has a slash
// (RFC 7515 §4.1.9).
func mediaType(text string) string {
	switch text { // nearly always
	case "", "at+jwt":
		return text
	case "JWT":
		return "jwt"
	}
	full := strings.Map(func(c rune) rune {
		if 'A' <= c && c <= 'Z' { // ASCII only: no other letter becomes one of these
			return c + 'a' - 'A'
		}
		return c
	}, text)
	if short, had := strings.CutPrefix(full, "application/"); had && short != "" && !strings.Contains(short, "/") {
		return short
	}
	return full
}
