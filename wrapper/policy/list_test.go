package policy_test

import (
	"strings"
	"testing"

	"mcp-valet/wrapper/policy"
)

func TestLists(t *testing.T) {
	conditions := `
forbid(principal in Role::"viewer", action, resource) unless { context.readOnly };
forbid(principal, action, resource == Tool::"list_hidden");
forbid(principal, action, resource == Tool::"list_args") when { context.arguments.x == 1 };
forbid(principal, action, resource == Tool::"list_late") when { context.time.hour > 18 };
permit(principal in Role::"guest", action, resource == Tool::"ping") when { context.tenant == "acme" } when { context.arguments.x == 1 };
permit(principal in Role::"guest", action, resource == Tool::"pong") when { context.tenant == "other" } when { context.arguments.x == 1 };`
	plain := compile(t, knowledgeBase())
	with := compile(t, withCedar(conditions))
	for name, c := range map[string]struct {
		p          *policy.Policy
		role       string
		kind       policy.Kind
		list, want string // want "": as it was
	}{
		"all":                  {plain, "admin", policy.Tool, ` { "tools" : [ {"name":"help"} , {"name":"list_x"} ] } `, ""},
		"none":                 {plain, "guest", policy.Tool, `{"tools":[ {"name":"get_x"},{"name":"list_x"} ],"nextCursor":"c"}`, `{"tools":[],"nextCursor":"c"}`},
		"first":                {plain, "viewer", policy.Tool, `{"tools":[ {"name":"create_x"},  {"name":"list_x" } ] ,"_meta":{}}`, `{"tools":[  {"name":"list_x" } ] ,"_meta":{}}`},
		"last":                 {plain, "viewer", policy.Tool, `{"tools":[{"name":"list_x","n":1.0e2},{"name":"create_x"}]}`, `{"tools":[{"name":"list_x","n":1.0e2}]}`},
		"middle":               {plain, "viewer", policy.Tool, "{\"tools\":[\n\t{\"name\":\"list_x\"},\n\t{\"name\":\"create_x\"},\n\t{\"name\":\"get_x\"}\n]}", "{\"tools\":[\n\t{\"name\":\"list_x\"},\n\t{\"name\":\"get_x\"}\n]}"},
		"empty":                {plain, "viewer", policy.Tool, `{"tools":[ ]}`, ""},
		"escaped":              {plain, "viewer", policy.Tool, `{"tools":[{"n\u0061me":"list\u005fx"},{"name":"\u006cist_y"},{"name":"creat\u0065_x"}]}`, `{"tools":[{"n\u0061me":"list\u005fx"},{"name":"\u006cist_y"}]}`},
		"name last":            {plain, "viewer", policy.Tool, `{"tools":[{"inputSchema":{"properties":{"name":{"name":"list_x"}}},"name":"create_x"}]}`, `{"tools":[]}`},
		"odd name":             {plain, "admin", policy.Tool, `{"tools":[{"name":"list_\u200b"},{"name":"list_\n"},{"name":""}]}`, `{"tools":[]}`},
		"prompts":              {plain, "viewer", policy.Prompt, `{"prompts":[{"name":"triage"}]}`, `{"prompts":[]}`},
		"resources":            {plain, "viewer", policy.Resource, `{"resources":[{"uri":"kb://articles/1","name":"x"},{"uri":"kb://other","name":"y"}]}`, `{"resources":[{"uri":"kb://articles/1","name":"x"}]}`},
		"templates":            {plain, "viewer", policy.Resource, `{"resourceTemplates":[{"uriTemplate":"kb://articles/{id}"},{"uriTemplate":"kb://{any}"}]}`, `{"resourceTemplates":[{"uriTemplate":"kb://articles/{id}"}]}`},
		"both":                 {plain, "viewer", policy.Resource, `{"resourceTemplates":[ ],"resources":[{"uri":"kb://other"}]}`, `{"resourceTemplates":[ ],"resources":[]}`},
		"annotations":          {with, "viewer", policy.Tool, `{"tools":[{"name":"list_x","annotations":{"readOnlyHint":true}},{"name":"list_y"},{"name":"list_z","annotations":{"readOnlyHint":false}}]}`, `{"tools":[{"name":"list_x","annotations":{"readOnlyHint":true}}]}`},
		"hints do not go over": {with, "viewer", policy.Tool, `{"tools":[{"name":"list_x","annotations":{"readOnlyHint":true}},{"name":"list_y","annotations":null}]}`, `{"tools":[{"name":"list_x","annotations":{"readOnlyHint":true}}]}`},
		"conditions":           {with, "analyst", policy.Tool, `{"tools":[{"name":"list_hidden"},{"name":"list_args"},{"name":"list_late"}]}`, `{"tools":[{"name":"list_args"},{"name":"list_late"}]}`},
		"permits":              {with, "guest", policy.Tool, `{"tools":[{"name":"ping"},{"name":"pong"},{"name":"pang"}]}`, `{"tools":[{"name":"ping"}]}`},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := c.p.Lists(user(c.role), "kb", c.kind, []byte(c.list))
			if err != nil {
				t.Fatal(err)
			}
			if c.want == "" {
				c.want = c.list
			}
			if string(got) != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestListsRefused(t *testing.T) {
	p := compile(t, withCedar(`forbid(principal, action, resource) when { context.readOnly };`))
	for _, list := range []string{
		``, `[]`, `{}`, `{"tools":null}`, `{"tools":{}}`, `{"Tools":[]}`, `{"tools":[],"tools":[]}`, `{"tools":[],"TOOLS":[]}`,
		`{"tools":[1]}`, `{"tools":[{}]}`, `{"tools":[{"name":1}]}`, `{"tools":[{"name":"help","name":"help"}]}`,
		`{"tools":[{"name":"help","Name":"create_x"}]}`, `{"tools":[{"Name":"help"}]}`, `{"tools":[{"name":"help"},]}`, `{"tools":[{"name":"help"}]`,
		`{"tools":[{"name":"help"}]}}`, `{"tools":[{"name":"\ud800"}]}`, "{\"tools\":[{\"name\":\"\xff\"}]}", `{"tools":[{"name":"help" "x":1}]}`,
		`{"tools":[{"name":"help","annotations":{},"annotations":{"readOnlyHint":true}}]}`, `{"tools":[{"name":"help","Annotations":{}}]}`,
		`{"tools":[{"name":"help","x":` + strings.Repeat("[", 1000) + strings.Repeat("]", 1000) + `}]}`,
	} {
		if got, err := p.Lists(user("admin"), "kb", policy.Tool, []byte(list)); err == nil {
			t.Errorf("%.80s: %.80s", list, got)
		}
	}
	if _, err := p.Lists(user("admin"), "kb", policy.Kind(9), []byte(`{"tools":[]}`)); err == nil {
		t.Error("a kind that does not exist")
	}
}

// TestListsAndCalls: without conditions a list shows exactly what can be called.
func TestListsAndCalls(t *testing.T) {
	p := compile(t, knowledgeBase())
	for _, role := range []string{"admin", "analyst", "viewer", "guest", "stranger"} {
		for _, tool := range []string{"help", "create_incident", "create_x", "get_secret", "list_x", "other"} {
			got, err := p.Lists(user(role), "kb", policy.Tool, []byte(`{"tools":[{"name":"`+tool+`"}]}`))
			if err != nil {
				t.Fatal(err)
			}
			if listed := strings.Contains(string(got), tool); listed != p.Decide(user(role), call(tool, "")).Allowed {
				t.Errorf("%s: %s listed: %v", role, tool, listed)
			}
		}
	}
}
