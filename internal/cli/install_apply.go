package cli

import (
	"bytes"
	"context"
	"fmt"
	"maps"

	"mcp-valet/install"
	"mcp-valet/internal/config"
	"mcp-valet/keyring"
)

// apply does what was agreed to, in an order in which an end between any two steps loses nothing: secrets to the
// keychain, our config, what was agreed to, a record and a backup, and the client's config last. Done again, each step
// finds its work done.
func (p *installPlan) apply(ctx context.Context) error {
	if err := p.keepSecrets(ctx); err != nil {
		return &about{server: p.server, err: err}
	}
	if err := p.writeConfig(); err != nil {
		return err
	}
	if err := p.saveTrust(ctx); err != nil {
		return &about{server: p.server, err: err}
	}
	// The person may have opened the client meanwhile.
	if err := p.a.mayEdit(ctx, p.client, &p.o.clientOptions); err != nil {
		return err
	}
	p.knownSecrets = knownSecrets(ctx, p.store)
	maps.Copy(p.knownSecrets, p.adopted())
	return install.Update(p.file, p.writeClient)
}

func (p *installPlan) keepSecrets(ctx context.Context) error {
	for _, s := range p.secrets() {
		for key, value := range map[string]keyring.Secret{s.at.Variable: s.kept.Value, install.LiteralKey(s.at.Variable): s.kept.AsWritten} {
			if value.IsZero() {
				continue
			}
			k := keyring.SecretKey(p.server, key)
			if now, err := p.store.Get(ctx, k); err == nil && now.Equal(value) {
				continue
			}
			if err := p.store.Set(ctx, k, value); err != nil {
				return err
			}
		}
	}
	return nil
}

// writeConfig writes our config, unless what it said of the server is no longer what was looked at.
func (p *installPlan) writeConfig() error {
	return config.Update(p.cfg.Path, func(text []byte) ([]byte, error) {
		if len(bytes.TrimSpace(text)) > 0 {
			now, err := config.Parse(p.cfg.Path, text)
			if err != nil {
				return nil, err
			}
			was, is := p.cfg.Servers[p.server], now.Servers[p.server]
			if !bytes.Equal(asWords(was), asWords(is)) && !bytes.Equal(asWords(p.entry), asWords(is)) {
				return nil, &config.Error{Path: p.cfg.Path, Msg: fmt.Sprintf("the server %s was changed by another program meanwhile; nothing was written", p.server)}
			}
		}
		return p.edit(text, p.entry)
	})
}

// saveTrust keeps what the person has agreed to, if that is what our config says now.
func (p *installPlan) saveTrust(ctx context.Context) error {
	cfg, err := p.a.loadConfig(true)
	if err != nil {
		return err
	}
	now, err := describe(cfg, p.server)
	if err != nil {
		return err
	}
	if diff := differences(p.trust, now); len(diff) > 0 {
		return untrusted(now, "the config was changed while it was shown")
	}
	if p.store == nil {
		return nil // no keychain, and no secret that anybody could be given
	}
	return p.store.SaveTrust(ctx, now)
}

// writeClient writes the client's config, unless the entry is no longer what was looked at. What is remembered, and the
// backup, are of the very text that is replaced.
func (p *installPlan) writeClient(text []byte) ([]byte, error) {
	doc, err := parseClient(p.client, p.file, text)
	if err != nil {
		return nil, err
	}
	now, at, there := doc.Entry(p.name)
	if there != (p.original != nil) || !bytes.Equal(now, p.original) {
		return nil, &install.Error{Path: p.file, Line: doc.Line(p.name), Msg: "the entry was changed by another program meanwhile; to start over, run the command again"}
	}
	r := install.Record{Server: p.server, Client: p.client.Name, File: p.file, Name: p.name, At: at, Made: p.made, Ours: p.recordWords()}
	value := doc.Wrapped(p.ours, p.original)
	r.Written = string(install.HideMembers(value, p.server, p.hidden()))
	backup := text
	var after []byte
	if there {
		original, secrets, err := p.recordOriginal()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.file, err)
		}
		r.Original, r.Secrets = string(original), secrets
		hidden, err := install.Hide(p.original, p.server, p.hidden())
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.file, err)
		}
		backup = doc.Replace(p.name, hidden)
		after = doc.Replace(p.name, value)
	} else {
		after, r.Insertion = doc.Insert(p.name, value, install.Place{})
	}
	if err := install.SaveRecord(p.state, r); err != nil {
		return nil, err
	}
	return after, p.client.Backup(p.state, backup, p.knownSecrets)
}

// adopted are the secrets by what stands for them outside of the keychain.
func (p *installPlan) adopted() map[string]keyring.Secret {
	all := map[string]keyring.Secret{}
	for _, s := range p.secrets() {
		all[install.Reference(p.server, s.at.Variable)] = s.kept.Value
	}
	return all
}
