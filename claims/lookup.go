package claims

import "encoding/json"

// Lookup returns the JSON text of one claim, for code that is not made for a
// certain type; handlers are better off with [As]. A claim that is a member of an
// object is named by the way to it: Lookup("realm_access", "roles"). Names are
// matched exactly.
//
// It reports false where there is no such claim, where a name on the way occurs
// twice, and for claims that were not read from a token, such as a literal.
func (c *Claims) Lookup(path ...string) (json.RawMessage, bool) {
	if c == nil || c.payload == nil || len(path) == 0 {
		return nil, false
	}
	object := c.payload.object
	for {
		value, ok := object.Lookup(path[0])
		if !ok {
			return nil, false
		}
		if len(path) == 1 {
			return json.RawMessage(value.JSON()), true
		}
		var err error
		if object, err = value.Object(); err != nil {
			return nil, false
		}
		path = path[1:]
	}
}
