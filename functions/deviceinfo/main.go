// Deviceinfo is the function that serves what devices tell of themselves and ask about themselves: tags, thing model, configuration, logs, files, requests at boot.
package main

import (
	"maps"
	"time"

	"relink/functions/internal/fcrun"
	"relink/functions/internal/tables"
	"relink/shared/download"
	"relink/shared/exchange"
	"relink/shared/remoteconfig"
	"relink/shared/topic"
)

func main() { tables.Main(newHandler) }

func newHandler(p tables.Parts) (fcrun.Handler, error) {
	families := map[topic.Family]exchange.Family{}
	urls, err := download.NewSigner(p.Cloud.DownloadURL, p.Cloud.InternalKey, time.Now)
	if err != nil {
		return nil, err
	}
	maps.Copy(families, remoteconfig.New(p.Store.RemoteConfigs(), p.Files, urls, time.Now).Families())
	return &exchange.Desk{Log: p.Log, Families: families}, nil
}
