// Deviceinfo is the function that serves what devices tell of themselves and ask about themselves: tags, thing model, configuration, logs, files, requests at boot.
package main

import (
	"log/slog"
	"maps"
	"time"

	"relink/functions/internal/fcrun"
	"relink/functions/internal/tables"
	"relink/shared/config"
	"relink/shared/deviceinfo"
	"relink/shared/download"
	"relink/shared/exchange"
	"relink/shared/fileupload"
	"relink/shared/redelivery"
	"relink/shared/remoteconfig"
	"relink/shared/store"
	"relink/shared/topic"
)

func main() { tables.Main(newHandler) }

func newHandler(p tables.Parts) (fcrun.Handler, error) {
	urls, err := download.NewSigner(p.Cloud.DownloadURL, p.Cloud.InternalKey, time.Now)
	if err != nil {
		return nil, err
	}
	sink, fresh, err := newUploader(p.Cloud, p.Log)
	if err != nil {
		return nil, err
	}
	var settings struct {
		Quota int64 `env:"RELINK_FILE_STORAGE,default=1073741824"` // bytes of the files of all devices together
	}
	if err := config.Read(&settings); err != nil {
		return nil, err
	}
	stores := deviceinfo.Stores{Products: p.Store.Products(), Infos: p.Store.DeviceInfos(), Network: p.Store.NetworkStatuses(), Links: p.Store.Topology()}
	d := desk(p.Log,
		deviceinfo.New(stores, sink, time.Now).Families(),
		fileupload.New(p.Store.Files(), p.Files, settings.Quota, time.Now).Families(),
		remoteconfig.New(p.Store.RemoteConfigs(), p.Files, urls, time.Now).Families(),
	)
	recognize(d, p.Store.Receipts())
	d.Rules = p.Rules
	return fresh(d), nil
}

// recognize has what a device measured of its network stored once when it is sent twice. All else here may come twice and change nothing.
func recognize(d *exchange.Desk, receipts store.Receipts) {
	d.Again, d.Noted = redelivery.New(receipts), []topic.Family{topic.DiagPost}
}

// desk serves all families of several services.
func desk(log *slog.Logger, services ...map[topic.Family]exchange.Family) *exchange.Desk {
	d := &exchange.Desk{Log: log, Families: map[topic.Family]exchange.Family{}}
	for _, families := range services {
		maps.Copy(d.Families, families)
	}
	return d
}
