package config_test

import (
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"mcp-valet/internal/config"
)

func TestAudit(t *testing.T) {
	dir := t.TempDir()
	cfg, err := config.Parse(filepath.Join(dir, "config.json"), []byte(`{
		"audit": { "dir": "log", "maxSize": 1048576, "maxAge": "12h", "retention": "90d", "onFull": "continue", "arguments": ["title"], "otlp": "https://otel.example.com" },
		"mcpServers": { "a": { "command": "a" } } }`))
	if err != nil {
		t.Fatal(err)
	}
	want := &config.Audit{
		Dir: filepath.Join(dir, "log"), MaxSize: 1 << 20, MaxAge: 12 * time.Hour, Retention: 90 * 24 * time.Hour,
		OnFull: "continue", Arguments: []string{"title"}, OTLP: "https://otel.example.com",
	}
	if !reflect.DeepEqual(cfg.Audit, want) || cfg.AuditDir("/state") != want.Dir {
		t.Errorf("got %+v", cfg.Audit)
	}
	cfg, err = config.Parse("c", []byte(`{"audit": {"retention": "forever"}}`))
	if err != nil || cfg.Audit.Retention >= 0 {
		t.Errorf("%+v, %v", cfg, err)
	}
	cfg, err = config.Parse("c", []byte(`{}`))
	if err != nil || cfg.Audit != nil || cfg.AuditDir("/state") != filepath.Join("/state", "audit") {
		t.Errorf("%+v, %v", cfg, err)
	}
}

func TestAuditRefuses(t *testing.T) {
	for text, want := range map[string]string{
		`"audit": []`:                                          `audit: must be an object in { }, is a list`,
		`"audit": {"maxsize": 1}`:                              `audit.maxsize: unknown key (did you mean "maxSize"?)`,
		`"audit": {"maxSize": 1}`:                              `audit.maxSize: must be a whole number from 65536`,
		`"audit": {"maxAge": "a week"}`:                        `audit.maxAge: must be a number of days or hours`,
		`"audit": {"maxAge": "forever"}`:                       `audit.maxAge: must be a number of days or hours`,
		`"audit": {"retention": "1m"}`:                         `audit.retention: must be from one hour`,
		`"audit": {"retention": 30}`:                           `audit.retention: must be text`,
		`"audit": {"retention": "99999d"}`:                     `audit.retention: must be `,
		`"audit": {"onFull": "ignore"}`:                        `audit.onFull: must be one of: "block", "continue"`,
		`"audit": {"arguments": "title"}`:                      `audit.arguments: must be a list`,
		`"audit": {"otlp": "keyring://a/b"}`:                   `audit.otlp: a keyring:// reference`,
		`"mcpServers": {"s": {"command": "c", "pin": "warn"}}`: `mcpServers.s.pin: not supported by this version`,
	} {
		_, err := config.Parse("c", []byte("{"+text+"}"))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
	}
}
