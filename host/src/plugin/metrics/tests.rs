use super::*;
use crate::hook::Hook;

fn counter(
    registry: &Registry,
    plugin: &PluginNumbers,
    name: &str,
    labels: &[(&str, &str)],
) -> Result<Arc<Series>, Refused> {
    let labels = labels.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
    registry.register(plugin, Kind::Counter, (name.into(), "Help \\ me\n".into()), labels, &[])
}

#[test]
fn writes_prometheus_text() {
    let registry = Registry::new(2);
    let jwt = registry.plugin(&"jwt".into());
    counter(&registry, &jwt, "denied", &[("why", "a \"b\"\\\n")]).unwrap().add(3);
    let seen = |v| {
        registry
            .register(&jwt, Kind::Histogram, ("took".into(), String::new()), vec![], &[0.5, 1.0])
            .unwrap()
            .observe(v)
    };
    [0.5, 0.7, 9.0, f64::NAN].into_iter().for_each(seen);
    registry.register(&jwt, Kind::Gauge, ("keys".into(), String::new()), vec![], &[]).unwrap().set(2.5);
    jwt.called(0, Hook::Origin);
    jwt.called(1, Hook::Origin);
    jwt.failed(Hook::Router, HookFailureKind::Deadline);
    jwt.memory(131_072);
    jwt.memory(-65_536);
    jwt.quarantined();
    let mut text = String::new();
    registry.render(&mut text);
    assert_eq!(
        text,
        r#"# HELP tidegate_hook_calls_total Calls of plugins, by hook.
# TYPE tidegate_hook_calls_total counter
tidegate_hook_calls_total{plugin="jwt",hook="origin"} 2
# HELP tidegate_hook_failures_total Calls of plugins that failed, by hook and kind.
# TYPE tidegate_hook_failures_total counter
tidegate_hook_failures_total{plugin="jwt",hook="router",kind="plugin.deadline"} 1
# HELP tidegate_plugin_instances Instances of plugins that exist.
# TYPE tidegate_plugin_instances gauge
tidegate_plugin_instances{plugin="jwt"} 0
# HELP tidegate_plugin_cpu_seconds_total How long calls of plugins had a worker.
# TYPE tidegate_plugin_cpu_seconds_total counter
tidegate_plugin_cpu_seconds_total{plugin="jwt"} 0.000000000
# HELP tidegate_plugin_memory_bytes Linear memories of the instances that exist.
# TYPE tidegate_plugin_memory_bytes gauge
tidegate_plugin_memory_bytes{plugin="jwt"} 65536
# HELP tidegate_plugin_memory_peak_bytes The most that they have had at a time.
# TYPE tidegate_plugin_memory_peak_bytes gauge
tidegate_plugin_memory_peak_bytes{plugin="jwt"} 131072
# HELP tidegate_plugin_quarantined 1 where a plugin is in quarantine.
# TYPE tidegate_plugin_quarantined gauge
tidegate_plugin_quarantined{plugin="jwt"} 0
# HELP tidegate_plugin_quarantines_total Times that a plugin was put into quarantine.
# TYPE tidegate_plugin_quarantines_total counter
tidegate_plugin_quarantines_total{plugin="jwt"} 1
# HELP tidegate_plugin_denied Help \\ me\n
# TYPE tidegate_plugin_denied counter
tidegate_plugin_denied{plugin="jwt",why="a \"b\"\\\n"} 3
# HELP tidegate_plugin_keys 
# TYPE tidegate_plugin_keys gauge
tidegate_plugin_keys{plugin="jwt"} 2.5
# HELP tidegate_plugin_took 
# TYPE tidegate_plugin_took histogram
tidegate_plugin_took_bucket{plugin="jwt",le="0.5"} 1
tidegate_plugin_took_bucket{plugin="jwt",le="1"} 2
tidegate_plugin_took_bucket{plugin="jwt",le="+Inf"} 3
tidegate_plugin_took_sum{plugin="jwt"} 10.2
tidegate_plugin_took_count{plugin="jwt"} 3
"#
    );
}

#[test]
fn same_name_and_labels_are_one_series() {
    let registry = Registry::new(1);
    let plugin = registry.plugin(&"p".into());
    let one = counter(&registry, &plugin, "n", &[("a", "1"), ("b", "2")]).unwrap();
    let two = counter(&registry, &plugin, "n", &[("b", "2"), ("a", "1")]).unwrap();
    let other = counter(&registry, &plugin, "n", &[("a", "1"), ("b", "3")]).unwrap();
    assert!(Arc::ptr_eq(&one, &two) && !Arc::ptr_eq(&one, &other));
}

#[test]
fn refuses_what_it_cannot_show() {
    let registry = Registry::new(1);
    let plugin = registry.plugin(&"p".into());
    let other = registry.plugin(&"q".into());
    for name in ["", "1a", "a-b", "ä", "instances", "quarantined"] {
        assert_eq!(counter(&registry, &plugin, name, &[]).unwrap_err(), Refused::BadName, "{name}");
    }
    for label in ["le", "plugin", "__x", "a b"] {
        assert_eq!(counter(&registry, &plugin, "n", &[(label, "v")]).unwrap_err(), Refused::BadName, "{label}");
    }
    assert_eq!(counter(&registry, &plugin, "n", &[("a", "1"), ("a", "2")]).unwrap_err(), Refused::BadName);
    let falling = registry.register(&plugin, Kind::Histogram, ("h".into(), String::new()), vec![], &[2.0, 1.0]);
    assert_eq!(falling.unwrap_err(), Refused::BadName);
    counter(&registry, &other, "n", &[]).unwrap();
    let gauge = registry.register(&plugin, Kind::Gauge, ("n".into(), String::new()), vec![], &[]);
    assert_eq!(gauge.unwrap_err(), Refused::TypeMismatch);
    for n in 0..MOST_SERIES {
        counter(&registry, &plugin, "n", &[("n", &n.to_string())]).unwrap();
    }
    assert_eq!(counter(&registry, &plugin, "n", &[("n", "more")]).unwrap_err(), Refused::TooMany);
    counter(&registry, &plugin, "n", &[("n", "7")]).unwrap();
}

#[test]
fn numbers_go_with_their_plugin_and_on_with_its_successor() {
    let registry = Registry::new(1);
    let old = registry.plugin(&"p".into());
    counter(&registry, &old, "n", &[]).unwrap().add(1);
    let new = registry.plugin(&"p".into());
    drop(old);
    counter(&registry, &new, "n", &[]).unwrap().add(1);
    let render = || {
        let mut text = String::new();
        registry.render(&mut text);
        text
    };
    assert!(render().contains("tidegate_plugin_n{plugin=\"p\"} 2\n"));
    drop(new);
    assert!(!render().contains("plugin=\"p\""));
}
