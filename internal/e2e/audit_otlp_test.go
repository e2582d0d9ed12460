package e2e

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	logs "go.opentelemetry.io/proto/otlp/logs/v1"
	"google.golang.org/protobuf/encoding/protojson"
)

// TestAuditExport has the program export a log to a receiver that reads with OpenTelemetry's own types: unknown fields,
// wrong names and wrong number forms are errors there.
func TestAuditExport(t *testing.T) {
	home := t.TempDir()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	log, err := os.ReadFile("testdata/audit.jsonl")
	must(err)
	dir := filepath.Join(home, "state", "audit")
	must(os.MkdirAll(dir, 0o700))
	must(os.WriteFile(filepath.Join(dir, "audit-000000000001.jsonl"), log, 0o600))
	must(os.WriteFile(filepath.Join(home, "config.json"), []byte(`{"store":{"kind":"file"}}`), 0o600))

	var mu sync.Mutex
	var got []*logs.LogRecord
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		request := &collector.ExportLogsServiceRequest{}
		if err == nil {
			err = protojson.Unmarshal(body, request)
		}
		if err != nil || r.URL.Path != "/v1/logs" || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s %s: %v", r.URL.Path, r.Header.Get("Content-Type"), err)
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		for _, resource := range request.ResourceLogs {
			if name := attribute(resource.Resource.Attributes, "service.name"); name.GetStringValue() != "mcp-valet" {
				t.Errorf("service %v", name)
			}
			for _, scope := range resource.ScopeLogs {
				got = append(got, scope.LogRecords...)
			}
		}
		answer, err := protojson.Marshal(&collector.ExportLogsServiceResponse{})
		if err != nil {
			t.Error(err)
		}
		w.Header().Set("Content-Type", "application/json")
		w.Write(answer)
	}))
	defer receiver.Close()

	cmd := exec.Command(built.valet, "--config", filepath.Join(home, "config.json"), "--state", filepath.Join(home, "state"), "--store", "file", "audit", "export", "--otlp", receiver.URL)
	cmd.Env = []string{"HOME=" + home, "PATH=" + os.Getenv("PATH"), "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1", "HTTP_PROXY=http://127.0.0.1:1"}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if want := strings.Count(string(log), "\n"); len(got) != want {
		t.Fatalf("%d records, want %d", len(got), want)
	}
	for i, r := range got {
		if n := attribute(r.Attributes, "mcp_valet.seq").GetIntValue(); n != int64(i+1) {
			t.Errorf("record %d comes as number %d", i+1, n)
		}
	}
	checkDecision(t, got[1])
}

// checkDecision looks at a denied call with odd texts in it.
func checkDecision(t *testing.T, r *logs.LogRecord) {
	if r.EventName != "mcp_valet.decision" || r.SeverityNumber != logs.SeverityNumber_SEVERITY_NUMBER_WARN || r.TimeUnixNano != 1795521600000123000 {
		t.Errorf("event %q, severity %v, time %d", r.EventName, r.SeverityNumber, r.TimeUnixNano)
	}
	for key, want := range map[string]string{
		"user.id": "ada", "mcp_valet.tenant": "acme", "mcp_valet.server": "kb", "mcp_valet.tool": "create \"incident\"\u2028é",
		"mcp_valet.verdict": "deny", "mcp_valet.rule": "tools.create_*", "mcp_valet.arguments": `{"title":"string(12)"}`,
	} {
		if v := attribute(r.Attributes, key).GetStringValue(); v != want {
			t.Errorf("%s is %q, want %q", key, v, want)
		}
	}
	if n := attribute(r.Attributes, "mcp_valet.duration_us").GetIntValue(); n != 1500 {
		t.Errorf("duration %d", n)
	}
	roles := attribute(r.Attributes, "user.roles").GetArrayValue().GetValues()
	if len(roles) != 2 || roles[1].GetStringValue() != "auditor" {
		t.Errorf("roles %v", roles)
	}
}

func attribute(all []*common.KeyValue, key string) *common.AnyValue {
	for _, a := range all {
		if a.Key == key {
			return a.Value
		}
	}
	return nil
}
