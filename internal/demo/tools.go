package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"mcp-valet/internal/issuer"
)

// toolList is the answer to tools/list.
const toolList = `[
{"name":"create_incident","title":"Create incident","description":"Records a security incident and returns it with its id.",
 "inputSchema":{"type":"object","additionalProperties":false,"required":["title","severity"],"properties":{
  "title":{"type":"string","minLength":1,"maxLength":200,"description":"What happened, in one line"},
  "severity":{"type":"string","enum":["low","medium","high","critical"]}}},
 "annotations":{"readOnlyHint":false,"destructiveHint":false,"openWorldHint":false}},
{"name":"list_incidents","title":"List incidents","description":"Lists all incidents, oldest first.",
 "inputSchema":{"type":"object","additionalProperties":false},
 "annotations":{"readOnlyHint":true,"openWorldHint":false}},
{"name":"whoami","title":"Who am I","description":"Says whose access token this server has and how long it is still good.",
 "inputSchema":{"type":"object","additionalProperties":false},
 "annotations":{"readOnlyHint":true,"openWorldHint":false}}
]`

// arguments of a tool, keyed exactly.
type arguments map[string]json.RawMessage

// A tool works for the person a verified token names. Its error is for the model.
type tool func(*incidentServer, *issuer.AccessClaims, arguments) (any, error)

var tools = map[string]tool{
	"create_incident": (*incidentServer).createIncident,
	"list_incidents":  (*incidentServer).listIncidents,
	"whoami":          (*incidentServer).whoami,
}

// callTool checks the token anew at every call: it may have expired since the last.
func (s *incidentServer) callTool(ctx context.Context, m message) (map[string]any, error) {
	var name string
	if json.Unmarshal(m.params["name"], &name) != nil {
		return nil, &wireError{Code: codeInvalidParams, Message: "name is not a string"}
	}
	work, known := tools[name]
	if !known {
		return nil, &wireError{Code: codeInvalidParams, Message: "unknown tool"}
	}
	var args arguments
	if raw, there := m.params["arguments"]; there {
		fields, err := object(raw, "arguments")
		if err != nil {
			return nil, err
		}
		args = fields
	}
	claims, err := s.authorize(ctx)
	if err != nil {
		fmt.Fprintf(s.log, "incidents: %s refused: %v\n", name, err)
		return toolError(refusalText(err)), nil
	}
	answer, err := work(s, claims, args)
	if err != nil {
		return toolError(err.Error()), nil
	}
	return toolResult(answer), nil
}

var errNoToken = errors.New("no token: " + envToken + " is not set")

func (s *incidentServer) authorize(ctx context.Context) (*issuer.AccessClaims, error) {
	if s.token == "" {
		return nil, errNoToken
	}
	return s.verifier.Verify(ctx, s.token)
}

// refusalText tells the model what the person can do; the details go to the log.
func refusalText(err error) string {
	for _, known := range []struct {
		err  error
		hint string
	}{
		{errNoToken, "start this server with an access token"},
		{issuer.ErrTokenExpired, "start this server with a fresh one"},
		{issuer.ErrForeignToken, "this server does not take it"},
		{issuer.ErrKeysUnavailable, "the token could not be checked; try again later"},
	} {
		if errors.Is(err, known.err) {
			return known.err.Error() + ": " + known.hint
		}
	}
	return issuer.ErrInvalidToken.Error()
}

// toolResult carries structured content and, for older clients, the same as text.
func toolResult(v any) map[string]any {
	text := strings.TrimSuffix(string(encodeLine(v)), "\n")
	return map[string]any{"content": textContent(text), "structuredContent": v, "isError": false}
}

func toolError(text string) map[string]any {
	return map[string]any{"content": textContent(text), "isError": true}
}

func textContent(text string) []any {
	return []any{map[string]string{"type": "text", "text": text}}
}

// only refuses arguments other than the named ones.
func (a arguments) only(names ...string) error {
	for key := range a {
		if !slices.Contains(names, key) {
			return errors.New("there is an argument that this tool does not have")
		}
	}
	return nil
}

func (a arguments) text(name string) (s string, err error) {
	raw, there := a[name]
	if !there || json.Unmarshal(raw, &s) != nil || string(raw) == "null" {
		return "", fmt.Errorf("%s is missing or not a string", name)
	}
	return s, nil
}

const maxTitle = 200 // characters

var severities = []string{"low", "medium", "high", "critical"}

func (s *incidentServer) createIncident(who *issuer.AccessClaims, args arguments) (any, error) {
	if err := args.only("title", "severity"); err != nil {
		return nil, err
	}
	title, err := args.text("title")
	if err != nil {
		return nil, err
	}
	severity, err := args.text("severity")
	if err != nil {
		return nil, err
	}
	switch n := utf8.RuneCountInString(title); {
	case n == 0 || n > maxTitle || strings.ContainsFunc(title, unicode.IsControl):
		return nil, fmt.Errorf("title must be one line of 1 to %d characters", maxTitle)
	case !slices.Contains(severities, severity):
		return nil, errors.New("severity must be one of " + strings.Join(severities, ", "))
	}
	return s.fromBook(s.book.add(incident{
		Title: title, Severity: severity, CreatedBy: who.Subject, CreatedAt: time.Now().UTC().Truncate(time.Second),
	}))
}

func (s *incidentServer) listIncidents(_ *issuer.AccessClaims, args arguments) (any, error) {
	if err := args.only(); err != nil {
		return nil, err
	}
	all, err := s.book.all()
	if all == nil {
		all = []incident{} // an empty list, not null
	}
	return s.fromBook(map[string]any{"incidents": all}, err)
}

// fromBook passes on what the book says, but for a failure of the disk: that goes to
// the log, for its paths are none of the model's business.
func (s *incidentServer) fromBook(v any, err error) (any, error) {
	if err == nil || errors.Is(err, errBookFull) {
		return v, err
	}
	fmt.Fprintf(s.log, "incidents: %v\n", err)
	return nil, errors.New("the incidents cannot be read or written")
}

// identity is what whoami tells.
type identity struct {
	Subject     string   `json:"subject"`
	Client      string   `json:"client"`
	Scopes      []string `json:"scopes"`
	Roles       []string `json:"roles"`
	SecondsLeft int      `json:"secondsLeft"`
}

func (s *incidentServer) whoami(who *issuer.AccessClaims, args arguments) (any, error) {
	if err := args.only(); err != nil {
		return nil, err
	}
	return identity{
		Subject: who.Subject, Client: who.ClientID,
		Scopes: append([]string{}, who.Scopes...), Roles: append([]string{}, who.Roles...), // empty, not null
		SecondsLeft: int(time.Until(who.Expiry) / time.Second),
	}, nil
}
