package userinfo

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/bearerguard/bearerguard/internal/strictjson"
)

// A Profile is what the issuer says of a user (OpenID Connect Core §5.1). Which of
// it, depends on the scopes of the token (§5.4) and on what is known.
//
// A claim that is missing is the zero value. So is one of another type than §5.1
// gives it, except for the subject, since issuers differ there: two shapes are
// understood besides, the text "true" for a verified address (Cognito), and a date
// of RFC 3339 for UpdatedAt (Auth0). For what the issuer has really said, see [As].
//
// encoding/json writes a Profile with the names of §5.1 and leaves zero values out, so
// that a handler can pass it on. UpdatedAt is a date of RFC 3339 then, and what the
// issuer has said besides is not in it.
type Profile struct {
	// Subject is who it is, "sub": the same as claims.Claims.Subject, or there would
	// be no Profile. It is the only claim that identifies a user, for good and
	// within the issuer; others may change and be given to somebody else (§5.7).
	Subject string `json:"sub"`

	Name              string `json:"name,omitzero"`               // "name": the full name, as it is displayed
	GivenName         string `json:"given_name,omitzero"`         // "given_name"; there may be several
	FamilyName        string `json:"family_name,omitzero"`        // "family_name"
	MiddleName        string `json:"middle_name,omitzero"`        // "middle_name"
	Nickname          string `json:"nickname,omitzero"`           // "nickname"
	PreferredUsername string `json:"preferred_username,omitzero"` // "preferred_username": any text, and not unique

	Page    string `json:"profile,omitzero"` // "profile": the URL of a page about the user
	Picture string `json:"picture,omitzero"` // "picture": the URL of an image of the user
	Website string `json:"website,omitzero"` // "website": the URL of a page of the user's own

	// Email is the preferred address, "email". EmailVerified says that the issuer
	// has made sure that it was the user's, "email_verified": where that is false,
	// anybody may have claimed it.
	Email         string `json:"email,omitzero"`
	EmailVerified bool   `json:"email_verified,omitzero"`

	Gender    string `json:"gender,omitzero"`    // "gender": female, male, or another text
	Birthdate string `json:"birthdate,omitzero"` // "birthdate": YYYY-MM-DD, 0000-MM-DD without the year, or YYYY
	Zoneinfo  string `json:"zoneinfo,omitzero"`  // "zoneinfo": a name for time.LoadLocation, such as Europe/Paris
	Locale    string `json:"locale,omitzero"`    // "locale": a tag of BCP 47, such as en-US, or en_US

	// PhoneNumber is preferably in the form of E.164, "phone_number".
	// PhoneNumberVerified is what EmailVerified is of Email, "phone_number_verified".
	PhoneNumber         string `json:"phone_number,omitzero"`
	PhoneNumberVerified bool   `json:"phone_number_verified,omitzero"`

	Address Address `json:"address,omitzero"` // "address"

	// UpdatedAt is when any of this last changed, "updated_at".
	UpdatedAt time.Time `json:"updated_at,omitzero"`

	// The pointer keeps what fmt and slog print of a Profile short. It is shared and
	// never changed.
	said *said
}

// An Address is where a user is to be written to (OpenID Connect Core §5.1.1). An
// issuer gives all of it as one text, or its parts, or both.
type Address struct {
	Formatted     string `json:"formatted,omitzero"`      // "formatted": all of it, with line breaks
	StreetAddress string `json:"street_address,omitzero"` // "street_address", perhaps with line breaks
	Locality      string `json:"locality,omitzero"`       // "locality": the city
	Region        string `json:"region,omitzero"`         // "region": the state, province or prefecture
	PostalCode    string `json:"postal_code,omitzero"`    // "postal_code"
	Country       string `json:"country,omitzero"`        // "country"
}

// said is all that the issuer has said, for [As]: the text, which has been read once. An
// object that was taken apart would take many times the memory, for as long as it is
// kept.
type said struct{ text string }

// As returns all that the issuer has said of the user, decoded into a T, a struct
// with json tags as for encoding/json: for claims of the issuer's own, and for
// standard ones that it gives in another type. Names are matched exactly, and each
// must be there once, at every level of T, as with claims.As.
//
//	type Custom struct {
//		Department string `json:"https://example.com/department"`
//	}
//	custom, err := userinfo.As[Custom](profile)
//
// A Profile that was not made by a [Client], such as a literal, is an error. What the
// issuer has said is in no error.
func As[T any](p *Profile) (T, error) {
	var decoded T
	if p == nil || p.said == nil {
		return decoded, errors.New("userinfo: this profile was not received from an issuer")
	}
	object, err := strictjson.ParseObject(p.said.text)
	if err == nil {
		err = object.Decode(&decoded)
	}
	if err != nil {
		var zero T
		return zero, mismatch[T](err)
	}
	return decoded, nil
}

// newProfile reads what an issuer has said. The error is about the subject, or about
// what could be read in two ways.
func newProfile(object *strictjson.Object) (*Profile, error) {
	p := &Profile{said: &said{object.JSON()}}
	subject, has := object.Lookup("sub")
	if !has {
		return nil, errors.New("it has no sub")
	}
	var ok bool
	if p.Subject, ok = subject.Text(); !ok || p.Subject == "" {
		return nil, fmt.Errorf("its sub is an empty text, or a JSON %s", subject.Kind())
	}
	readTexts(object, map[string]*string{
		"name":               &p.Name,
		"given_name":         &p.GivenName,
		"family_name":        &p.FamilyName,
		"middle_name":        &p.MiddleName,
		"nickname":           &p.Nickname,
		"preferred_username": &p.PreferredUsername,
		"profile":            &p.Page,
		"picture":            &p.Picture,
		"website":            &p.Website,
		"email":              &p.Email,
		"gender":             &p.Gender,
		"birthdate":          &p.Birthdate,
		"zoneinfo":           &p.Zoneinfo,
		"locale":             &p.Locale,
		"phone_number":       &p.PhoneNumber,
	})
	p.EmailVerified = isTrue(object, "email_verified")
	p.PhoneNumberVerified = isTrue(object, "phone_number_verified")
	p.UpdatedAt = date(object, "updated_at")
	if value, _ := object.Lookup("address"); value.Kind() == strictjson.KindObject {
		address, err := value.Object()
		if err != nil {
			return nil, fmt.Errorf("its address: %w", err)
		}
		readTexts(&address, map[string]*string{
			"formatted":      &p.Address.Formatted,
			"street_address": &p.Address.StreetAddress,
			"locality":       &p.Address.Locality,
			"region":         &p.Address.Region,
			"postal_code":    &p.Address.PostalCode,
			"country":        &p.Address.Country,
		})
	}
	return p, nil
}

func readTexts(object *strictjson.Object, fields map[string]*string) {
	for name, field := range fields {
		value, _ := object.Lookup(name)
		*field, _ = value.Text()
	}
}

// isTrue reports whether a claim is true, or the text for it.
func isTrue(object *strictjson.Object, name string) bool {
	value, _ := object.Lookup(name)
	text, _ := value.Text()
	return value.JSON() == "true" || text == "true"
}

// date returns when a claim says, the zero time where it says nothing.
func date(object *strictjson.Object, name string) time.Time {
	value, _ := object.Lookup(name)
	if at, ok := seconds(value); ok {
		return at
	}
	text, _ := value.Text()
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}
	}
	return at
}

// seconds reads seconds since 1970 (RFC 7519 §2), within the years that dates have.
func seconds(value strictjson.Value) (time.Time, bool) {
	const end = 253402300800 // 10000-01-01T00:00:00Z
	if value.Kind() != strictjson.KindNumber {
		return time.Time{}, false
	}
	number, err := strconv.ParseFloat(value.JSON(), 64)
	if err != nil || number < 0 || number >= end {
		return time.Time{}, false
	}
	whole, fraction := math.Modf(number)
	return time.Unix(int64(whole), int64(fraction*1e9)), true
}
