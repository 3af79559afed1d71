// What our dashboards may hold, in the types Grafana publishes: each kind of panel with that kind's own options.
// The JSON schema in tests/data/grafana is made of `Board` (tools/grafana/check.sh). A Prometheus query's own fields are not
// part of @grafana/schema; those we use stand here.
import type { GraphFieldConfig, TableFieldOptions } from '@grafana/schema';
import type { Dashboard, Panel, RowPanel } from '@grafana/schema/dist/esm/raw/dashboard/x/Dashboard_types.gen';
import type { Options as BarGaugeOptions } from '@grafana/schema/dist/esm/raw/composable/bargauge/panelcfg/x/BarGaugePanelCfg_types.gen';
import type { Options as StatOptions } from '@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen';
import type { Options as TableOptions } from '@grafana/schema/dist/esm/raw/composable/table/panelcfg/x/TablePanelCfg_types.gen';
import type { Options as TimeSeriesOptions } from '@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen';

interface Nothing {}
interface BarGauge extends BarGaugeOptions {}
interface Stat extends StatOptions {}
interface Table extends TableOptions {}
interface TimeSeries extends TimeSeriesOptions {}

interface PrometheusQuery {
  refId: string;
  datasource: NonNullable<Panel['datasource']>;
  editorMode: 'code' | 'builder';
  exemplar: boolean;
  expr: string;
  format: 'time_series' | 'table' | 'heatmap';
  instant: boolean;
  legendFormat: string;
  range: boolean;
}

type FieldConfigOf<Custom> = Omit<NonNullable<Panel['fieldConfig']>, 'defaults'> & {
  defaults: Omit<NonNullable<Panel['fieldConfig']>['defaults'], 'custom'> & { custom: Custom };
};

type Typed<Type extends string, Options, Custom> = Omit<Panel, 'type' | 'options' | 'fieldConfig' | 'targets'> & {
  type: Type;
  options: Options;
  fieldConfig: FieldConfigOf<Custom>;
  targets: PrometheusQuery[];
};

type Row = Omit<RowPanel, 'panels'> & { panels: never[] };

export type AnyPanel =
  | Typed<'stat', Stat, Nothing>
  | Typed<'timeseries', TimeSeries, GraphFieldConfig>
  | Typed<'bargauge', BarGauge, Nothing>
  | Typed<'table', Table, TableFieldOptions>
  | Row;

export type Board = Omit<Dashboard, 'panels'> & { panels: AnyPanel[] };

/** The same where an enum's member may be written as its value, as JSON does. */
export type Plain<T> = T extends string
  ? `${T}`
  : T extends number | boolean | null | undefined
    ? T
    : T extends (infer One)[]
      ? Plain<One>[]
      : { [Key in keyof T]: Plain<T[Key]> };
