"""Models that are compared with the best run: what they stand for, and what is wrong with them."""

import pytest
import yaml
from material import ROOT

from workflow_scripts.config import endpoints, run_settings, runs_of
from workflow_scripts.config_check import checked
from workflow_scripts.errors import EssenceError

SERVER = {"base_url": "http://127.0.0.1:8000/v1", "model": "mine"}
BASE = {"base": "resources/models/standin", "run": "exp5_long"}


@pytest.fixture
def config():
    return yaml.safe_load((ROOT / "config.yaml").read_text())


def test_an_endpoint_has_defaults_and_its_own_settings(config):
    config["models"] = {"far": {"endpoint": {**SERVER, "retries": 2}}, "gone": None}
    (name, endpoint), *others = endpoints(checked(config)).items()
    assert (name, endpoint.name, endpoint.retries, others) == ("far", "far", 2, [])
    assert endpoint.temperature == 0 and endpoint.budget is None


def test_the_default_compares_nothing_and_gpt4_is_one_endpoint(config):
    assert endpoints(checked(config)) == {}
    config["models"] = yaml.safe_load((ROOT / "configs/gpt4.yaml").read_text())["models"]
    assert endpoints(checked(config))["gpt-4"].key == "OPENAI_API_KEY"


def test_a_base_is_a_recipe_of_one_run(config):
    lora = {"rank": 8, "alpha": 16, "dropout": 0.0, "targets": None}
    other = {"base": "owner/llama", "revision": "main", "run": "exp5_long"}
    other |= {"architecture": "causal", "lora": lora, "learning_rate_scale": 2}
    config["models"] = {"other": other}
    config = checked(config)
    assert list(runs_of(config, "repaired@other")) == ["exp5_long"]
    own, best = (
        run_settings(config, recipe, "exp5_long", 42) for recipe in ("repaired@other", "repaired")
    )
    assert (own.model.architecture, own.model.lora.rank) == ("causal", 8)
    assert best.model.lora is None and own.run == best.run
    assert (own.training.learning_rate_scale, best.training.learning_rate_scale) == (2, 10)
    assert "repaired@other" not in config["use_recipes"]


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({}, "models.m needs either endpoint or base"),
        ({"endpoint": SERVER, **BASE}, "models.m needs either endpoint or base"),
        ({"endpoint": {"model": "mine"}}, "models.m.endpoint: missing base_url"),
        ({"endpoint": SERVER | {"base_url": "localhost:8000/v1"}}, "with http:// or https://"),
        ({"endpoint": SERVER | {"budget": 5}}, "models.m.endpoint.prices is not. Set the prices"),
        (
            {"endpoint": SERVER | {"at_once": 0}},
            "models.m.endpoint.at_once is 0: it should be greater",
        ),
        ({"endpoint": SERVER | {"prices": {"input": 1}}}, "prices: missing output"),
        ({"base": BASE["base"]}, "models.m: missing run"),
        ({**BASE, "run": "nobody"}, "models.m.run is 'nobody', which is no run of repaired"),
        ({**BASE, "recipe": "nobody"}, "models.m.recipe is 'nobody', which is no recipe"),
        ({**BASE, "recipe": "as_run", "run": "exp2_bs4"}, "models.m.run is 'exp2_bs4', which need"),
        ({**BASE, "base": "nowhere"}, "models.m.base is 'nowhere': no such folder"),
        ({**BASE, "liger": True}, "models.m.liger is set, but models.m.architecture"),
    ],
)
def test_what_is_wrong_is_told_with_its_key(config, entry, said):
    config["models"] = {"m": entry}
    with pytest.raises(EssenceError) as error:
        checked(config)
    assert said in str(error.value)


def test_a_key_in_the_place_of_its_name_is_not_shown(config):
    config["models"] = {"m": {"endpoint": SERVER | {"key": "sk-secret"}}}
    with pytest.raises(EssenceError, match=r"models\.m\.endpoint\.key .*NAME of the env") as error:
        checked(config)
    assert "sk-secret" not in str(error.value)


def test_models_need_test_rows_and_folders_of_their_own(config):
    hub = {"revision": "main", "run": "exp5_long"}
    config["models"] = {"a": {"base": "one/t5", **hub}, "b": {"base": "two/t5", **hub}}
    config["test_set"]["rows"] = dict.fromkeys(("Selector", "Decomposer", "Refiner"), 0)
    with pytest.raises(EssenceError) as error:
        checked(config)
    assert "would be downloaded to one folder" in str(error.value)
    assert "compared on test rows, but agents.recipe (repaired) keeps none" in str(error.value)
