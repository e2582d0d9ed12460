package wrapper

import (
	"bytes"
	"encoding/json"
	"iter"
	"maps"
	"os"

	"mcp-valet/keyring"
)

// metaToken is where RenewMeta puts the token in params._meta.
const metaToken = "mcp-valet/token"

// maxTokens bounds the tokens of a session that are masked: an old one may still be in a server's memory, or log.
const maxTokens = 8

// given is a start as the server's process gets it: where the token comes in a file or in messages, it is not in the
// environment.
func (o *Options) given(with Start) (Start, error) {
	if o.Renewal != RenewFile && o.Renewal != RenewMeta || with.Token.IsZero() {
		return with, nil
	}
	if o.Renewal == RenewFile {
		if err := o.putFile(with.Token); err != nil {
			return with, err
		}
		env := map[string]string{with.Server.TokenEnv + "_FILE": o.TokenFile}
		maps.Copy(env, with.Server.Env)
		with.Server.Env = env
	}
	with.Token = keyring.Secret{}
	return with, nil
}

// putFile puts a token in the file that the server reads, in one step.
func (o *Options) putFile(token keyring.Secret) error {
	return keyring.WriteFile(o.TokenFile, []byte(token.Reveal()))
}

// removeFile is for the end of a session.
func (o *Options) removeFile() {
	if o.Renewal == RenewFile {
		_ = os.Remove(o.TokenFile) // it may never have been there
	}
}

// deliverToken gives a running server its new token, where that needs no other server; it tells whether that is so.
// session.mu is held.
func (r *relay) deliverToken(with Start) bool {
	switch r.renewal.how {
	case RenewFile:
		r.knowToken(with)
		if err := r.o.putFile(with.Token); err != nil {
			r.err.note("the file with the token of %s is not written: %v", r.label, err)
			return !r.renewal.ended(wallClock()) // the next tick tries again
		}
	case RenewMeta:
		r.knowToken(with)
		r.setMeta(with.Token)
	default:
		return false
	}
	r.with = with
	r.tellRoles(r.user.Swap(with.User), with.User)
	r.renewal.inForce(with)
	return true
}

// setMeta has a token put into requests from now on, where that is how it comes.
func (r *relay) setMeta(token keyring.Secret) {
	if r.o.Renewal == RenewMeta && !token.IsZero() {
		text := encode(token.Reveal())
		r.inMeta.Store(&text)
	}
}

// knowToken has a token masked, beside those before it.
func (r *relay) knowToken(with Start) { r.masker.Store(newMasker(r.secretsOf(with))) }

// secretsOf are the values that are masked in what a server says; mu is held.
func (s *session) secretsOf(with Start) []keyring.Secret {
	if !with.Token.IsZero() && (len(s.tokens) == 0 || !s.tokens[len(s.tokens)-1].Equal(with.Token)) {
		s.tokens = append(s.tokens, with.Token)
		s.tokens = s.tokens[max(0, len(s.tokens)-maxTokens):]
	}
	return append(with.secrets(), s.tokens...)
}

// withToken is a request as the server gets it. Where the token goes into it, every other byte stays what it was.
func (r *relay) withToken(line []byte) []byte {
	token := r.inMeta.Load()
	if token == nil {
		return line
	}
	return spliceMeta(line, metaToken, *token)
}

// spliceMeta sets a member of params._meta in a request that the header check has passed.
func spliceMeta(line []byte, key string, value json.RawMessage) []byte {
	member := append(append(encode(key), ':'), value...)
	root := skipSpace(line, 0)
	params := findMember(line, root, "params")
	if params == 0 {
		return insertMember(line, root, append(append([]byte(`"params":{"_meta":{`), member...), "}}"...))
	}
	meta := findMember(line, params, "_meta")
	if meta != 0 && line[meta] != '{' { // nothing of use to anybody
		return splice(line, meta, skipValue(line, meta), append(append([]byte{'{'}, member...), '}'))
	}
	if meta == 0 {
		return insertMember(line, params, append(append([]byte(`"_meta":{`), member...), '}'))
	}
	if at := findMember(line, meta, key); at != 0 {
		return splice(line, at, skipValue(line, at), value)
	}
	return insertMember(line, meta, member)
}

// insertMember puts a member in front of those of the object that begins at line[at].
func insertMember(line []byte, at int, member []byte) []byte {
	if line[skipSpace(line, at+1)] != '}' {
		member = append(member, ',')
	}
	return splice(line, at+1, at+1, member)
}

func splice(line []byte, from, to int, by []byte) []byte {
	return bytes.Join([][]byte{line[:from], by, line[to:]}, nil)
}

// findMember is where the value of a member begins, of the object that begins at line[at]; 0 when there is none.
func findMember(line []byte, at int, name string) int {
	for key, value := range membersOf(line, at) {
		if key == name {
			return value
		}
	}
	return 0
}

// membersOf are the members of the object that begins at line[at], each with the place where its value begins. A key that
// is no text is "".
func membersOf(line []byte, at int) iter.Seq2[string, int] {
	return func(yield func(string, int) bool) {
		for i := skipSpace(line, at+1); line[i] == '"'; {
			end := stringEnd(line, i)
			value := memberValue(line, end)
			var key string
			if json.Unmarshal(line[i:end], &key) != nil {
				key = ""
			}
			if !yield(key, value) {
				return
			}
			i = skipSpace(line, skipValue(line, value))
			if line[i] != ',' {
				return
			}
			i = skipSpace(line, i+1)
		}
	}
}

// skipValue is the place after the value that begins at line[i].
func skipValue(line []byte, i int) int {
	if depth := nesting(line[i]); depth != 1 {
		return valueEnd(line, i)
	}
	for depth := 0; i < len(line); {
		if line[i] == '"' {
			i = stringEnd(line, i)
			continue
		}
		depth += nesting(line[i])
		i++
		if depth == 0 {
			break
		}
	}
	return i
}
